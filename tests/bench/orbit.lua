-- wrk's side of the bench for signed calls. wrk cannot sign, so its argument is a file with the signed requests: a line
-- each for the time, the nonce, the signature and the body.
local requests = {}

function init(args)
    local line = io.lines(args[1])
    for timestamp in line do
        local headers = {
            ["content-type"] = "application/x-www-form-urlencoded",
            ["x-orbit-timestamp"] = timestamp,
            ["x-orbit-nonce"] = line(),
            ["x-orbit-sign"] = line(),
        }
        requests[#requests + 1] = wrk.format("POST", nil, headers, line())
    end
end

local sent = 0

function request()
    sent = sent + 1
    if sent == #requests then io.stderr:write("more requests than were signed\n") end
    return requests[math.min(sent, #requests)]
end

local wrong = 0

function response(status, headers, body)
    if status ~= 200 or string.find(body, '"error"', 1, true) then
        wrong = wrong + 1
        if wrong == 1 then io.stderr:write("a wrong answer: ", status, " ", body, "\n") end
    end
end
