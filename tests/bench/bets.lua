-- wrk's side of the bench: every request is a new bet of the next player. Its arguments are the id before the first one,
-- and how many players there are.
function init(args)
    next_id = tonumber(args[1])
    players = tonumber(args[2])
end

function request()
    next_id = next_id + 1
    local body = string.format(
        '{"bet":1,"code":"bench_%d","game":1012,"id":%d,"round_id":%d,"type":"bet","time":"21-09-2023 03:23:23"}',
        next_id % players, next_id, next_id)
    return wrk.format("POST", nil, {["content-type"] = "application/json"}, body)
end

local wrong = 0

function response(status, headers, body)
    if status ~= 200 or not string.find(body, '"result":1', 1, true) then
        wrong = wrong + 1
        if wrong == 1 then io.stderr:write("a wrong answer: ", status, " ", body, "\n") end
    end
end
