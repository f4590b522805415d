#compdef pram-verify
# Completion of pram-verify for zsh. The table is the program's own: `pram-verify complete zsh` prints it between these
# lines. Its rows are those that completions/pram-verify.bash tells of.
local -a _pram_verify_table=()
#TABLE#

local row command expected known group word
local -a fields words_of names operands commands options
integer index number=0

# What an argument or an operand may be: A|B|FILE, behind what PREFIX was relieved of.
_pram_verify_values() {
    local word key
    local -a found
    for word in ${(s:|:)1}; do
        case $word in
            DIR) _path_files -/ ;;
            FILE|PATH|DEVICE|KERNEL|INITRD|IMAGE|OUT) _files ;;
            PARTUUID=ID|PARTLABEL=NAME)
                key=${word%%=*}
                if [[ $PREFIX != $key=* ]]; then
                    compadd -S '' -- $key=
                else
                    # udev writes blanks and the like as \x20.
                    found=(/dev/disk/by-${(L)key}/*(N@:t))
                    found=(${(g::)found})
                    compadd -p $key= -- $found || compadd -- $key=$^found
                fi ;;
            *[A-Z]*) ;;
            *) compadd -- $word ;;
        esac
    done
}

for (( index = 2; index < CURRENT; index++ )); do
    word=$words[index]
    if [[ -n $expected ]]; then
        expected=
    elif [[ $word == -?* ]]; then
        for row in $_pram_verify_table; do
            fields=(${(ps:\t:)row})
            if [[ $fields[1] == o && $fields[3] != - && ( $word == --$fields[2] || $word == -$fields[4] ) ]]; then
                expected=$fields[3]
            fi
        done
    elif [[ -z $known ]]; then
        command=${command:+$command }$word
        for row in $_pram_verify_table; do
            fields=(${(ps:\t:)row})
            [[ $fields[2] == $command ]] || continue
            case $fields[1] in
                c) known=$command group= ;;
                g) group=$command ;;
            esac
        done
        [[ -n $known$group ]] || return 1
    else
        (( number++ ))
    fi
done
if [[ -n $expected ]]; then
    _pram_verify_values $expected
    return
fi
for row in $_pram_verify_table; do
    fields=(${(ps:\t:)row})
    if [[ $fields[1] == o && $PREFIX == --$fields[2]=* && $fields[3] != - ]]; then
        compset -p $(( ${#fields[2]} + 3 ))
        _pram_verify_values $fields[3]
        return
    elif [[ $fields[1] == c && $fields[2] == ${known:-check} ]]; then
        operands=(${(s: :)fields[3]})
        names=(${(s: :)fields[4]})
    fi
    if [[ $fields[1] == [cg] && -z $known ]]; then
        if [[ -n $group ]]; then
            [[ $fields[2] == "$group "* ]] && commands+=("${fields[2]#$group }:$fields[5]")
        else
            [[ $fields[2] == *' '* ]] || commands+=("$fields[2]:$fields[5]")
        fi
    fi
done
if [[ $PREFIX == -* ]]; then
    local -a open
    for row in $_pram_verify_table; do
        fields=(${(ps:\t:)row})
        [[ $fields[1] == o ]] && (( $names[(Ie)$fields[2]] )) || continue
        if [[ $fields[3] == - ]]; then options+=("--$fields[2]:$fields[5]"); else open+=("--$fields[2]=:$fields[5]"); fi
    done
    _describe -o option options -- open -S ''
elif [[ -z $known ]]; then
    _describe command commands
elif (( $#operands )) && [[ $operands[1] != - ]]; then
    if (( number >= $#operands )); then
        [[ $operands[-1] == *...* ]] || return 1
        number=$(( $#operands - 1 ))
    fi
    _pram_verify_values ${operands[number + 1]//[][.]/}
fi
