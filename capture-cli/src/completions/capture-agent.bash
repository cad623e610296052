# Completion of capture-agent for bash 4.4 and later. The program itself says what may come next.
_capture_agent() {
    # readline ends words at "=" and ":" (COMP_WORDBREAKS), the command line does not: parts without a space between
    # them are one word again.
    local line=$COMP_LINE words=() part= previous= is_glued=false i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        part=${COMP_WORDS[i]}
        is_glued=false
        if ((i > 0)) && [[ $line != [[:space:]]* && ($part == [=:]* || $previous == *[=:]) ]]; then
            words[-1]+=$part
            is_glued=true
        else
            words+=("$part")
        fi
        line=${line#*"$part"}
        previous=$part
    done
    # $2 is what stands before the cursor; a break alone counts as nothing.
    local before=
    if $is_glued; then
        before=${words[-1]%"$part"}
        [[ $part == [=:] ]] && before+=$part
    fi
    words[-1]=$before$2

    # As typed, where that is a path: it need not be in PATH.
    local program=capture-agent
    [[ ${COMP_WORDS[0]} == */* && -x ${COMP_WORDS[0]} ]] && program=${COMP_WORDS[0]}
    mapfile -t COMPREPLY < <(
        CAPTURE_AGENT_COMPLETE=bash _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) \
            "$program" -- "${words[@]}" 2>/dev/null
    )
    if ((${#COMPREPLY[@]} == 0)); then
        # A path that only the shell understands.
        [[ ${COMP_WORDS[COMP_CWORD]} == [\~\$\"\']* ]] && compopt -o default 2>/dev/null
        return 0
    fi
    local reply
    for i in "${!COMPREPLY[@]}"; do
        reply=${COMPREPLY[i]#"$before"}
        if [[ ${COMP_WORDS[COMP_CWORD]} != [\"\']* && $reply == *[^A-Za-z0-9_./,:=@%+-]* ]]; then
            printf -v reply %q "$reply"
        fi
        COMPREPLY[i]=$reply
    done
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[/=] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}
complete -o nosort -F _capture_agent capture-agent
