# shellcheck shell=bash
# Completion of pram-verify for bash. The table is the program's own: `pram-verify complete bash` prints it between these
# lines. Its rows: o NAME ARGUMENT LETTER MEANING, an option; c NAME OPERANDS OPTIONS MEANING, a command; g NAME - - MEANING,
# the first word of several commands. Fields are set apart by tabs, and one that is empty is a dash.
_pram_verify_table=()
#TABLE#

# _pram_verify_offer HOW WORD: takes WORD in if it goes on from what is typed. What names hold is never evaluated.
# $typed is the whole word before the cursor; readline replaces what stands behind the last sign that breaks words.
_pram_verify_offer() {
    [[ $2 == "$typed"* ]] || return 0
    local rest=${2#"$broken"}
    if [[ $1 == quote ]]; then printf -v rest %q "$rest"; fi
    COMPREPLY+=("$rest")
    if [[ $1 == open ]]; then compopt -o nospace; fi
}

# _pram_verify_values BEFORE A|B|FILE: what an argument or an operand may be, behind BEFORE.
_pram_verify_values() {
    local word name key
    local -a kinds
    IFS='|' read -ra kinds <<<"$2"
    for word in "${kinds[@]}"; do
        case $word in
            DIR) _pram_verify_files "$1" -d ;;
            FILE | PATH | DEVICE | KERNEL | INITRD | IMAGE | OUT) _pram_verify_files "$1" -f ;;
            PARTUUID=ID | PARTLABEL=NAME)
                key=${word%%=*}
                if [[ $typed != "$1$key="* ]]; then
                    _pram_verify_offer open "$1$key="
                    continue
                fi
                for name in "/dev/disk/by-${key,,}"/*; do
                    [[ -L $name ]] || continue
                    # udev writes blanks and the like as \x20.
                    printf -v name %b "${name##*/}"
                    _pram_verify_offer quote "$1$key=$name"
                done
                ;;
            *[A-Z]*) ;;
            *) _pram_verify_offer plain "$1$word" ;;
        esac
    done
}

_pram_verify_files() {
    local name
    while IFS= read -r name; do
        compopt -o filenames
        _pram_verify_offer plain "$1$name"
    done < <(compgen "$2" -- "${typed#"$1"}")
}

_pram_verify() {
    local line=${COMP_LINE:0:COMP_POINT} typed broken row kind name argument letter word command='' expected=''
    local number=0 known='' group='' signs
    local -a words names operands
    # shellcheck disable=SC2162 # a backslash is the shell's, as it is in the line
    read -a words <<<"$line"
    if [[ -z $line || $line == *[[:blank:]] ]]; then words+=(''); fi
    typed=${words[-1]}
    signs=${COMP_WORDBREAKS//[!=:]/}
    broken=''
    if [[ -n $signs && $typed == *["$signs"]* ]]; then broken=${typed%"${typed##*["$signs"]}"}; fi
    COMPREPLY=()

    # What stands before the cursor: the command, how many operands, and whether an option waits for its argument.
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ -n $expected ]]; then
            expected=''
        elif [[ $word == -?* ]]; then
            for row in "${_pram_verify_table[@]}"; do
                IFS=$'\t' read -r kind name argument letter _ <<<"$row"
                if [[ $kind == o && $argument != - ]] && [[ $word == "--$name" || $word == "-$letter" ]]; then
                    expected=$argument
                fi
            done
        elif [[ -z $known ]]; then
            command=${command:+$command }$word
            for row in "${_pram_verify_table[@]}"; do
                IFS=$'\t' read -r kind name _ <<<"$row"
                if [[ $name == "$command" ]]; then
                    if [[ $kind == c ]]; then known=$command group=''; fi
                    if [[ $kind == g ]]; then group=$command; fi
                fi
            done
            # A word that is no command: there is nothing to offer.
            if [[ -z $known$group ]]; then return; fi
        else
            number=$((number + 1))
        fi
    done
    if [[ -n $expected ]]; then
        _pram_verify_values '' "$expected"
        return
    fi
    for row in "${_pram_verify_table[@]}"; do
        IFS=$'\t' read -r kind name argument letter _ <<<"$row"
        if [[ $kind == o && $typed == "--$name="* && $argument != - ]]; then
            _pram_verify_values "--$name=" "$argument"
            return
        fi
        if [[ $kind == c && $name == "${known:-check}" ]]; then
            IFS=' ' read -ra operands <<<"$argument"
            IFS=' ' read -ra names <<<"$letter"
        fi
        if [[ $kind == [cg] && -z $known ]]; then
            case $name in
                "$group "*) _pram_verify_offer plain "${name#"$group "}" ;;
                *' '*) ;;
                *) if [[ -z $group ]]; then _pram_verify_offer plain "$name"; fi ;;
            esac
        fi
    done
    if [[ $typed == -* ]]; then
        for row in "${_pram_verify_table[@]}"; do
            IFS=$'\t' read -r kind name argument letter _ <<<"$row"
            if [[ $kind != o || " ${names[*]} " != *" $name "* ]]; then continue; fi
            if [[ $argument == - ]]; then _pram_verify_offer plain "--$name"; else _pram_verify_offer open "--$name="; fi
        done
    elif [[ -n $known && ${#operands[@]} -gt 0 && ${operands[0]} != - ]]; then
        if ((number >= ${#operands[@]})); then
            [[ ${operands[-1]} == *...* ]] || return
            number=$((${#operands[@]} - 1))
        fi
        word=${operands[number]}
        _pram_verify_values '' "${word//[!A-Za-z|=+-]/}"
    fi
}
complete -F _pram_verify pram-verify
