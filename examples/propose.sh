# Propose thresholds, for examples/external_shell.godel: the next ones that were not judged yet (docs/external.md).
# Nothing but a POSIX shell; the question is one line of JSON, in which a note of an earlier attempt can be looked for.

question=$(cat)

for below in 24 16 18 20 22 21 19; do
  note="on below $below"
  case $question in
    *"\"note\": \"$note\""*) continue ;;
  esac
  printf '{"patch": "agent { param below: int 0..40 = %s }", "note": "%s"}\n' "$below" "$note"
done
