#!/usr/bin/env bats
# The player, in a browser: the pages of the five stories, and a long one.

# shellcheck disable=SC2016 # $ in the scripts is JavaScript's
bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
load browser

setup_file() {
  local step
  if browser_lacks >/dev/null; then return 0; fi
  unset MAKEFLAGS MFLAGS MAKELEVEL
  cd "$ROOT" || return 1
  for step in 1 2 3 4 5; do
    "${MAKE:-make}" step$step-player >"$BATS_FILE_TMPDIR/make" 2>&1 || {
      cat "$BATS_FILE_TMPDIR/make"
      return 1
    }
    cp build/step$step.html build/step$step.record "$BATS_FILE_TMPDIR"
  done
  # 1000 messages to step 1: recv() and send() of each.
  echo 'story() { talk A open 1 ping 1000 1 1000 shut eof; }' >"$BATS_FILE_TMPDIR/long.sh"
  ln -s "$ROOT/build/step1-trace" "$BATS_FILE_TMPDIR/long-trace"
  TALK=build/talk sh tools/record.sh -s "$BATS_FILE_TMPDIR/long.sh" \
    "$BATS_FILE_TMPDIR/long-trace" || return 1
  browser_start "$BATS_FILE_TMPDIR" || return 1
  export browser browser_port browser_session
}

teardown_file() {
  if browser_lacks >/dev/null; then return 0; fi
  browser_end
}

setup() {
  local lacking
  lacking=$(browser_lacks) && skip "$lacking"
  pages=$BATS_FILE_TMPDIR
  browser_looks 1280 800 light
  browser_errors >/dev/null || true
}

equal() {
  [ "$1" = "$2" ] || {
    echo "got '$1' and not '$2'"
    return 1
  }
}

silent() {
  equal "$(browser_errors)" ''
}

# What awk finds in the record: for each frame of a call that came back, its line
# and its words.
calls_of_record() {
  awk '
    function text() { return substr($0, length($1) + length($2) + 3) }
    $2 == "call" { line = $3; words = "" }
    $2 == "words" { words = words "|" text() }
    $2 == "return" { print line words }
  ' "$1"
}

# The same, read off the page, frame by frame.
calls_of_page='
  const found = [];
  for (let i = 0; i < frames.length; i++) {
    show(i);
    if (!$("sentence").textContent || /undefined|NaN/.test(document.body.innerText)) return "frame " + (i + 1) + ": " + document.body.innerText;
    if ($("source").querySelectorAll(".here").length !== 1) return "no line at frame " + (i + 1);
    const line = /line (\d+), in \w+\(/.exec($("place").textContent);
    if (frames[i].kind === "return") found.push([line[1], ...$("words").textContent.split("\n")].join("|"));
  }
  return found.join("\n");'

@test "player: every frame of every story has the line and the words of the record" {
  local step
  for step in 1 2 3 4 5; do
    browser_open "$pages/step$step.html"
    diff <(calls_of_record "$pages/step$step.record") <(browser_run "$calls_of_page")
    [ "$(calls_of_record "$pages/step$step.record" | wc -l)" -gt 10 ]
    silent
  done
}

# What TUTORIAL.md points at is there, and in the order of the story.
@test "player: every scene of every story is found" {
  local step names
  for step in 1 2 3 4 5; do
    browser_open "$pages/step$step.html"
    names=$(awk '$2 == "scene" || $2 == "next" { print $3 }' "$pages/step$step.record" | sort)
    [ -n "$names" ]
    equal "$(browser_run 'return scenes.map((s) => s.name).sort().join("\n")')" "$names"
  done
}

# at STEP SCENE SCRIPT: what the script returns there
at() {
  browser_open "$pages/step$1.html" "#$2"
  browser_run "return $3"
}

@test "player: what the scenes show" {
  local text='$("sentence").textContent' kernel='$("kernel").innerText'
  [[ $(at 1 backlog "$text") == 'recv() sleeps: the receive buffer of client A'*' is empty.'*'client B in the backlog.' ]]
  [[ $(at 2 two "$text") == 'select() is back: 2 of 4 can be read.' ]]
  [[ $(at 3 full "$text") == 'send() sleeps: no room in the send buffer for client A'* ]]
  equal "$(at 3 full '$("kernel").querySelectorAll(".buffer.full").length')" 4
  [[ $(at 3 wait "$text") == *'Waiting for the server meanwhile: client B (fd '*' with 5 bytes unread.' ]]
  [[ $(at 4 off "$kernel") == *'READ: off'* ]]
  [[ $(at 4 full "$text") == 'kevent() sleeps: no knote is ready. READ of client A'* ]]
  [[ $(at 5 front "$text") == 'kevent() returned a batch of 4 events, first timer 1 (IDLE_TIMER): expired 1 time.'* ]]
  [[ $(at 5 list '$("idle").innerText') == *'client A'*'client B'*'client C'* ]]
  [[ $(at 5 moved '$("idle").innerText') == *'client B'*'client C'*'client A'* ]]
}

# What contradicts what, in any frame.
contradictions='
  const met = new Set(), waiting = new Set(), found = [];
  for (let i = 0; i < frames.length; i++) {
    show(i);
    const says = (text) => found.push(`frame ${i + 1}: ${text}`);
    const kernel = $("kernel").innerText, sentence = $("sentence").textContent;
    for (const name of met) if (kernel.includes(`client ${name} in the backlog`)) says(`${name} is in the backlog again`);
    for (const m of kernel.matchAll(/client ([A-Z]) \(fd/g)) met.add(m[1]);
    for (const m of kernel.matchAll(/client ([A-Z]) in the backlog/g)) waiting.add(m[1]);
    for (const name of waiting) if (!met.has(name) && !kernel.includes(`client ${name} in the backlog`)) says(`${name} has vanished from the backlog`);
    if (/sleeps: no knote/.test(sentence) && document.querySelector(".knote.ready")) says("no knote is ready, and one is");
    if (/recv\(\) returned 0/.test(sentence) && /the end waits/.test(kernel)) says("the end is read, and waits");
    for (const m of sentence.matchAll(/recv\(\) took .* of client ([A-Z])/g))
      if ($("people").innerText.includes(`${m[1]} sends "hello"\n0 sent`)) says("what was received was not sent");
    for (const person of document.querySelectorAll(".person.waits"))
      if (/reads nothing|does not read/.test(person.innerText)) says("who reads nothing waits for bytes");
    if (document.querySelector(".person.deaf") && /is silent/.test(document.querySelector(".person.deaf").innerText)) says("who does not read is silent");
  }
  return found.join("\n");'

@test "player: the parts of a frame do not contradict each other" {
  local step
  for step in 1 2 3 4 5; do
    browser_open "$pages/step$step.html"
    equal "$(browser_run 'return $("people").innerText')" 'Nobody has connected yet.'
    equal "$(browser_run "$contradictions")" ''
  done
}

frame() {
  equal "$(browser_run 'return $("where").textContent.split(" ")[1]')" "$1"
}

@test "player: keys, buttons, and a drag on the time line" {
  local last
  browser_open "$pages/step3.html"
  last=$(browser_run 'return frames.length')
  frame 1
  browser_key '\ue014' # right
  browser_key '\ue014'
  frame 3
  browser_key '\ue012' # left
  frame 2
  browser_key '\ue010' # End
  frame "$last"
  browser_key '\ue011' # Home
  frame 1
  browser_key '\ue00f' # page down: the first scene
  frame "$(browser_run 'return scenes[0].frame + 1')"
  browser_run '$("last").click()'
  frame "$last"
  browser_run '$("back").click()'
  frame $((last - 1))
  browser_key ' '
  equal "$(browser_run 'return $("play").textContent')" Stop
  browser_key ' '
  equal "$(browser_run 'return $("play").textContent')" Play
  browser_run 'const box = $("timeline").querySelector(".track").getBoundingClientRect();
    for (const [type, x] of [["pointerdown", 0.9], ["pointermove", 0.0]])
      $("timeline").dispatchEvent(new PointerEvent(type, {pointerId: 1, buttons: 1, clientX: box.left + x * box.width + 1, clientY: box.top}));' || true
  frame 1
}

@test "player: a frame has an address, and a scene too" {
  browser_open "$pages/step3.html" '#17'
  frame 17
  browser_open "$pages/step3.html" '#full'
  frame "$(browser_run 'return scenes.find((s) => s.name === "full").frame + 1')"
  browser_key '\ue014'
  for _ in $(seq 100); do
    [ "$(browser_run 'return location.hash')" = '#full' ] || break
    sleep 0.05
  done
  equal "$(browser_run 'return location.hash.slice(1) === String(now + 1) || scenes.some((s) => s.frame === now && "#" + s.name === location.hash)')" true
  browser_open "$pages/step3.html" '#nonsense'
  frame 1
  silent
}

@test "player: light and dark, from a phone to a beamer" {
  local step width look ground=''
  for step in 1 2 3 4 5; do
    for width in 360 1600; do
      for look in light dark; do
        browser_looks $width 800 $look
        browser_open "$pages/step$step.html" '#full'
        # Nothing is wider than the window.
        equal "$(browser_run 'return document.documentElement.scrollWidth <= innerWidth')" true
        # The sentence and the marked line are in sight.
        equal "$(browser_run 'return [$("sentence"), document.querySelector(".here")].every((e) => {
          const box = e.getBoundingClientRect(); return box.width > 100 && box.top >= 0 && box.bottom <= innerHeight; })')" true
        ground="$ground $(browser_run 'return getComputedStyle(document.body).backgroundColor')"
      done
    done
  done
  equal "$(echo "$ground" | grep -o 'rgb([^)]*)' | sort -u | wc -l | tr -d ' ')" 2
  silent
}

@test "player: 2,000 frames answer a key at once, in less than 500 kB" {
  local step
  browser_open "$pages/long.html"
  [ "$(browser_run 'return frames.length')" -ge 2000 ]
  # Half of 100 keys take less than 50 ms each, drawing included.
  [ "$(browser_run 'const times = [];
    show(900);
    for (let i = 0; i < 100; i++) {
      const before = performance.now();
      document.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
      document.body.offsetHeight;
      times.push(performance.now() - before);
    }
    return Math.round(times.sort((a, b) => a - b)[50]);')" -lt 50 ]
  frame 1001
  for step in "$pages"/*.html; do
    [ "$(wc -c <"$step")" -lt 500000 ] || {
      ls -l "$step"
      return 1
    }
  done
  silent
}

@test "player: the sentence is read out, and everything has a name" {
  browser_open "$pages/step4.html"
  equal "$(browser_run 'return $("sentence").getAttribute("aria-live")')" polite
  equal "$(browser_run 'return [...document.querySelectorAll("button, [tabindex], nav")].filter((e) => !e.textContent.trim() && !e.getAttribute("aria-label")).length')" 0
  equal "$(browser_run 'return $("timeline").getAttribute("role")')" slider
}
