# Makes the table (stdout) and the summary (file `summary`) from the samples.
#
#     awk -v summary=build/bench/summary.txt -f report.awk raw.txt
#
# A ratio is that of two samples of the same round, which followed each other
# within a second; given is the median of the ratios, and their quartiles.

function add(key, value) { sample[key, ++samples[key]] = value }

# Sorts the samples of a key, once.
function sort(key,   i, j, v) {
  for (i = 2; i <= samples[key]; i++) {
    v = sample[key, i]
    for (j = i - 1; j > 0 && sample[key, j] > v; j--)
      sample[key, j + 1] = sample[key, j]
    sample[key, j + 1] = v
  }
}

# The value that a part q of the samples stays below.
function quantile(key, q,   n, at, low) {
  n = samples[key]
  if (n == 0)
    return "-"
  if (!(key in sorted)) {
    sort(key)
    sorted[key] = 1
  }
  at = 1 + q * (n - 1)
  low = int(at)
  if (low == n)
    return sample[key, n]
  return sample[key, low] + (at - low) * (sample[key, low + 1] - sample[key, low])
}

function median(key) { return quantile(key, 0.5) }

function put(key, format, value) {
  if (value != "-")
    printf "%s " format "\n", key, value > summary
}

# Three digits that count: a fourth would differ at the next run.
function three(x,   unit) {
  if (x == "-")
    return x
  for (unit = 1; x / unit >= 1000; unit *= 10)
    ;
  return int(x / unit + 0.5) * unit
}

function us(x) {
  return x == "-" ? x : sprintf(x < 100000 ? "%.1f" : "%.0f", x / 1000)
}

function thousands(x) {
  x = sprintf("%.0f", x)
  while (match(x, /^[0-9]+[0-9][0-9][0-9]/) && sub(/[0-9][0-9][0-9]($|,)/, ",&", x))
    ;
  return x
}

# median (lower quartile-upper quartile)
function spread(key, format) {
  if (samples[key] == 0)
    return "-"
  return sprintf(format " (" format "-" format ")", median(key),
    quantile(key, 0.25), quantile(key, 0.75))
}

# Ratios of all rounds, of two keys that have a sample in each.
function ratios(key, above, below,   i) {
  for (i = 1; i <= samples[above]; i++)
    if (i <= samples[below] && order[below, i] > 0)
      add(key, order[above, i] / order[below, i])
}

# Keeps the samples of a key also in the order of the rounds.
function keep(key, value) {
  if (value == "-")
    return
  add(key, value)
  order[key, samples[key]] = value
}

/^#/ { next }
$2 == "echo" || $2 == "connect" {
  key = $1 " " $3 " " $4 " " $5 " " $6
  keep("cpu " key, $10)
  keep("wall " key, $11)
  keep("median " key, $12)
  keep("p99 " key, $13)
  if (!($3 in known)) {
    known[$3] = 1
    names[++nnames] = $3
  }
  if ($1 == "idle" && !(("idle" $4) in known)) {
    known["idle" $4] = 1
    idles[++nidles] = $4
  }
  if ($1 == "load" && !(("load" $5 " " $6) in known)) {
    known["load" $5 " " $6] = 1
    loads[++nloads] = $5 " " $6
  }
}
$2 == "memory" {
  if ($4 == 0) {
    resident[$3] = $6
    private[$3] = $7
  } else {
    add("resident " $3 " " $4, ($6 - resident[$3]) * 1024 / $4)
    if ($7 != "-")
      add("private " $3 " " $4, ($7 - private[$3]) * 1024 / $4)
    add("most " $3, $4)
  }
}
$2 == "flood" {
  add("flood " $3, $7 - $6)
  add("sent " $3, $5)
}
$2 == "strace" { traced[$3, $4] = $5 }

function table_ratio(   i, name, clients) {
  print "CPU of the server per echo of 64 bytes, over that of epoll: median"
  print "(quartiles) of the rounds\n"
  printf "%-10s %22s %22s %14s\n", "", "1 client", "50 clients", "1 client, us"
  for (i = 1; i <= nnames; i++) {
    name = names[i]
    if (samples["cpu ratio " name " 0 1 64"] == 0)
      continue
    for (clients = 1; clients <= 50; clients += 49)
      ratios("ratio " name " " clients,
        "cpu ratio " name " 0 " clients " 64",
        "cpu ratio epoll 0 " clients " 64")
    printf "%-10s %22s %22s %14s\n", name, spread("ratio " name " 1", "%.3f"),
      spread("ratio " name " 50", "%.3f"),
      us(median("cpu ratio " name " 0 1 64"))
    if (name == "epoll")
      continue
    put(name ".ratio", "%.2f", median("ratio " name " 1"))
    put(name ".ratio.50", "%.2f", median("ratio " name " 50"))
  }
}

function table_idle(   i, j, name, key, base, line, percent) {
  print "\nCPU of the server per echo, us, beside idle clients: median"
  printf "\n%-10s", "idle"
  for (j = 1; j <= nidles; j++)
    printf "%10s", idles[j]
  print "   growth (quartiles)"
  for (i = 1; i <= nnames; i++) {
    name = names[i]
    base = "cpu idle " name " 0 1 64"
    if (samples[base] == 0)
      continue
    printf "%-10s", name
    line = ""
    for (j = 1; j <= nidles; j++) {
      key = "cpu idle " name " " idles[j] " 1 64"
      printf "%10s", us(median(key))
      put("cpu." name "." idles[j], "%s", us(median(key)))
      put("time." name "." idles[j], "%s",
        us(median("wall idle " name " " idles[j] " 1 64")))
      if (idles[j] < 100 || samples[key] == 0)
        continue
      ratios("growth " name " " idles[j], key, base)
      line = spread("growth " name " " idles[j], "%.2f")
      percent = 100 * (median("growth " name " " idles[j]) - 1)
      if (name == "step2")
        put(name ".growth." idles[j], "%.1f",
          median("growth " name " " idles[j]))
      else
        put(name ".growth." idles[j], "%s", percent_text(percent))
    }
    print "   " line
  }
}

# One decimal, and no "-0.0".
function percent_text(x) {
  x = sprintf("%.1f", x)
  return x == "-0.0" ? "0.0" : x
}

function table_load(   i, j, name, at, key, short) {
  print "\nEchoes a second; median and 99th percentile of the time of one, us\n"
  for (j = 1; j <= nloads; j++) {
    split(loads[j], at, " ")
    printf "%s client(s), %s bytes\n", at[1], at[2]
    short = at[1] "x" at[2]
    for (i = 1; i <= nnames; i++) {
      name = names[i]
      key = " load " name " 0 " loads[j]
      if (samples["wall" key] == 0)
        continue
      rate("echoes" key, "wall" key)
      printf "    %-10s %10s  (%s-%s) %12s %12s\n", name,
        thousands(median("echoes" key)), thousands(quantile("echoes" key, 0.25)),
        thousands(quantile("echoes" key, 0.75)), us(median("median" key)),
        us(median("p99" key))
      put("echoes." name "." short, "%d", three(median("echoes" key)))
      put("median." name "." short, "%s", us(median("median" key)))
      put("p99." name "." short, "%s", us(median("p99" key)))
    }
  }
}

function rate(key, from,   i) {
  for (i = 1; i <= samples[from]; i++)
    add(key, 1e9 / order[from, i])
}

function table_connect(   i, name, key) {
  print "\nConnections a second (connect, one echo, close), and over epoll\n"
  for (i = 1; i <= nnames; i++) {
    name = names[i]
    key = " connect " name " 0 1 64"
    if (samples["wall" key] == 0)
      continue
    rate("connections" key, "wall" key)
    ratios("connections " name, "wall connect epoll 0 1 64", "wall" key)
    ratios("logged " name, "wall connect epoll-log 0 1 64", "wall" key)
    printf "    %-10s %10s %22s", name, thousands(median("connections" key)),
      spread("connections " name, "%.3f")
    printf "   CPU %s us\n", us(median("cpu" key))
    put("conn." name, "%d", three(median("connections" key)))
    if (name == "epoll")
      continue
    put("conn.ratio." name, "%.2f", median("connections " name))
    if (name != "epoll-log")
      put("conn.ratio.log." name, "%.2f", median("logged " name))
  }
}

function table_memory(   i, j, name, most) {
  print "\nBytes per idle client: resident, and asked for"
  print "Growth against a peer that floods and never reads, KiB\n"
  for (i = 1; i <= nnames; i++) {
    name = names[i]
    if (samples["most " name] == 0)
      continue
    most = quantile("most " name, 1)
    printf "    %-10s %6d idle: %4.0f resident, %4.0f asked for;", name,
      most / 10, median("resident " name " " most / 10),
      median("private " name " " most / 10)
    printf " %6d: %4.0f, %4.0f; flood: %s KiB for %s bytes\n", most,
      median("resident " name " " most), median("private " name " " most),
      spread("flood " name, "%d"), thousands(median("sent " name))
    put("mem." name, "%.0f", median("resident " name " " most))
    put("heap." name, "%.0f", median("private " name " " most))
    put("flood." name, "%.0f", median("flood " name))
  }
}

function table_rest(   i, name, calls, with, without) {
  print "\nSystem calls per echo, one client\n"
  for (i = 1; i <= nnames; i++) {
    name = names[i]
    if (!((name, 2000) in traced))
      continue
    calls = sprintf("%.1f", (traced[name, 2000] - traced[name, 1000]) / 1000)
    sub(/\.0$/, "", calls)
    printf "    %-10s %s\n", name, calls
    put("syscalls." name, "%s", calls)
  }
  if (samples["wall nagle nagle 0 1 4096"] == 0)
    return
  with = 1e9 / median("wall nagle step4 0 1 4096")
  without = 1e9 / median("wall nagle nagle 0 1 4096")
  print "\nEchoes of 4096 bytes a second, step 4\n"
  printf "    %-44s %10s\n    %-44s %10s\n", "as it is", thousands(with),
    "with a buffer of 1 KiB, without TCP_NODELAY", thousands(without)
  put("nagle.with", "%d", three(with))
  put("nagle.without", "%d", three(without))
}

END {
  table_ratio()
  table_idle()
  table_load()
  table_connect()
  table_memory()
  table_rest()
}
