#!/bin/sh
# A wallet to try: a throw-away file, the sample players, and calls to paste into another terminal.
set -eu
port=${1:-8000}
url=http://127.0.0.1:$port
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 0' INT TERM
export MINWALLET_DB="$folder/demo.db"

minwallet seed "$(dirname "$0")/players.csv"
cat <<TEXT

Now a provider can call. Paste these into another terminal:

  # wallet-v2: what alice has, a bet of 5.00, its win of 12.00
  curl -d '{"type":"credit","code":"demo_alice_usd"}' $url/wallet
  curl -d '{"type":"bet","bet":500,"id":1,"game":1012,"code":"demo_alice_usd"}' $url/wallet
  curl -d '{"type":"win","win":1200,"id":2,"round_id":1,"game":1012,"code":"demo_alice_usd"}' $url/wallet

  # vela: who erin is, a bet of 10.00, its result
  curl '$url/api/user/authenticate?access_token=demo_erin_myr&game_code=fish'
  curl '$url/api/bet?access_token=demo_erin_myr&ticket_id=1&total_bet=1000&game_code=fish'
  curl '$url/api/result?access_token=demo_erin_myr&ticket_id=1&total_win=2500&game_code=fish'

  # the operator's side
  export MINWALLET_DB=$MINWALLET_DB PATH="$(dirname "$(command -v minwallet)"):\$PATH"
  minwallet player list
  minwallet ledger alice
  minwallet verify

TEXT
minwallet serve --port "$port"
