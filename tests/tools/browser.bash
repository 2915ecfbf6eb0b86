# shellcheck shell=bash
# A browser for tests: Debian's chromium without a window, told what to do by
# curl in the WebDriver protocol (https://www.w3.org/TR/webdriver2/).

# Needs chromium, chromedriver, curl and jq; says which is not there.
browser_lacks() {
  local program
  for program in chromium chromedriver curl jq; do
    command -v $program >/dev/null || {
      echo "needs $program"
      return 0
    }
  done
  return 1
}

# browser_ask METHOD PATH [JSON]: prints the value of the answer.
browser_ask() {
  local answer
  answer=$(curl -sS --noproxy '*' -X "$1" -H 'Content-Type: application/json' \
    ${3+--data-binary "$3"} "http://127.0.0.1:$browser_port$2") || return 1
  case $(jq -r '.value.error? // empty' <<<"$answer" 2>/dev/null) in
  '') jq -r '.value' <<<"$answer" ;;
  *)
    jq -r '.value.error + ": " + .value.message' <<<"$answer"
    return 1
    ;;
  esac
}

# Starts it with all files in a new folder below FOLDER.
browser_start() { # browser_start FOLDER
  local home options i
  home=$(mktemp -d "$1/browser.XXXXXX")
  HOME=$home XDG_CONFIG_HOME=$home XDG_CACHE_HOME=$home TMPDIR=$home \
    chromedriver --port=0 >"$home/log" 2>&1 3>&- 4>&- &
  browser=$!
  browser_port=''
  for ((i = 0; i < 1000; i++)); do
    browser_port=$(sed -n 's/.*started successfully on port \([0-9]*\).*/\1/p' "$home/log")
    [ -n "$browser_port" ] && break
    sleep 0.02
  done
  options=$(jq -n --arg home "$home/user" '{capabilities: {alwaysMatch: {
    "goog:loggingPrefs": {browser: "ALL"},
    "goog:chromeOptions": {args: ["--headless", "--no-sandbox", "--disable-gpu",
      "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
      "--user-data-dir=" + $home]}}}}')
  browser_session=''
  browser_session=$(browser_ask POST /session "$options" | jq -r .sessionId) || {
    cat "$home/log"
    return 1
  }
}

browser_end() {
  [ -n "${browser_session-}" ] && browser_ask DELETE "/session/$browser_session" >/dev/null
  kill "$browser" 2>/dev/null
  wait "$browser" 2>/dev/null || true
}

browser() { # browser METHOD PATH [JSON]
  browser_ask "$1" "/session/$browser_session$2" "${@:3}"
}

# browser_open FILE [HASH]: from disk.
browser_open() {
  # The same page with another hash would not be loaded anew.
  browser POST /url '{"url": "about:blank"}' >/dev/null
  browser POST /url "$(jq -n --arg url "file://$1${2-}" '{url: $url}')" >/dev/null
}

# browser_run SCRIPT [ARGUMENT...]: the body of a function; prints what it
# returns.
browser_run() {
  local script=$1
  shift
  browser POST /execute/sync "$(jq -n --arg script "$script" \
    '{script: $script, args: $ARGS.positional}' --args -- "$@")"
}

browser_cdp() { # browser_cdp COMMAND JSON
  browser POST /goog/cdp/execute "$(jq -n --arg cmd "$1" --argjson params "$2" \
    '{cmd: $cmd, params: $params}')" >/dev/null
}

# browser_looks WIDTH HEIGHT light|dark
browser_looks() {
  browser_cdp Emulation.setDeviceMetricsOverride \
    "{\"width\": $1, \"height\": $2, \"deviceScaleFactor\": 1, \"mobile\": false}"
  browser_cdp Emulation.setEmulatedMedia \
    "{\"features\": [{\"name\": \"prefers-color-scheme\", \"value\": \"$3\"}]}"
}

# browser_key KEY: as WebDriver names it, in JSON's way, whatever the locale:
# \ue012 left, \ue014 right, \ue010 End, \ue011 Home, \ue00e page up, \ue00f
# page down; or a letter.
browser_key() {
  browser POST /actions "$(jq -an --argjson key "\"$1\"" '{actions: [{type: "key",
    id: "keys", actions: [{type: "keyDown", value: $key},
    {type: "keyUp", value: $key}]}]}')" >/dev/null
}

# Errors and warnings on the console since the last call.
browser_errors() {
  browser POST /se/log '{"type": "browser"}' |
    jq -r '.[] | select(.level == "SEVERE" or .level == "WARNING") | .message'
}

browser_picture() { # browser_picture FILE.png
  browser GET /screenshot | base64 -d >"$1"
}
