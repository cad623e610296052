#compdef capture-agent
# Completion of capture-agent for zsh. The program itself says what may come next.
_capture_agent() {
    # As typed, where that is a path: it need not be in PATH.
    local program=capture-agent typed=${(Q)words[1]}
    [[ $typed == */* && -x $typed ]] && program=$typed
    local -a lines directories others
    lines=("${(@f)$(
        CAPTURE_AGENT_COMPLETE=zsh _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((CURRENT - 1)) \
            $program -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null
    )}")
    # Each is VALUE or VALUE:HELP; a colon of the value is escaped.
    local line value
    for line in $lines; do
        value=${line%%:*}
        if [[ $value == */ ]]; then
            directories+=("${value%/}${line#$value}")
        else
            others+=("$line")
        fi
    done
    local found=1
    (($#directories)) && _describe -V values directories -S / -r / && found=0
    (($#others)) && _describe -V values others && found=0
    return found
}
# As a file of fpath the first call is a completion already.
if [[ ${funcstack[1]} == _capture-agent || ${funcstack[1]} == _capture_agent ]]; then
    _capture_agent "$@"
else
    compdef _capture_agent capture-agent
fi
