# bash completion for vl2. Made by man/update-docs.sh from the program's option table.
_vl2()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
    local words
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words="ask chat ground info tokenize tiles boxes trace synth pack verify unpack compare calibrate bench eval plan help --json --cpu --version --help -h"
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
        return
    fi
    case $command:$before in
    synth:--size)
        mapfile -t COMPREPLY < <(compgen -W "tiny small base" -- "$word")
        return
        ;;
    pack:--quant)
        mapfile -t COMPREPLY < <(compgen -W "bf16 int8 int6 int4 mixed" -- "$word")
        return
        ;;
    boxes:--size) return ;;
    esac
    case $before in
    --output|-o|--model|-m|--lora|--image|--file|-f|--conversation|--draw|--routing|--importance|--output|-o|--tasks)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --prompt|-p|--system|--stop|--max-pixels|--predict|-n|--top-k|--seed|-s|--slots|--ctx-size|-c|--chunk|--threads|-t|--tile|--level|--positions|--repeat|--limit|--jobs|-j|--temp|--top-p|--min-p|--repeat-penalty|--threshold)
        return
        ;;
    esac
    case $command in
    help) words="ask chat ground info tokenize tiles boxes trace synth pack verify unpack compare calibrate bench eval plan" ;;
    ask) words="--model -m --image --prompt -p --file -f --system --conversation --max-pixels --predict -n --temp --top-k --top-p --min-p --repeat-penalty --penalize-prompt --seed -s --stop --ignore-eos --ram --slots --ctx-size -c --chunk --kv-type --threads -t --verify --json --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    chat) words="--model -m --image --system --conversation --max-pixels --predict -n --temp --top-k --top-p --min-p --repeat-penalty --penalize-prompt --seed -s --stop --ignore-eos --ram --slots --ctx-size -c --chunk --kv-type --threads -t --verify --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    ground) words="--model -m --image --max-pixels --predict -n --temp --top-k --top-p --min-p --repeat-penalty --penalize-prompt --seed -s --ram --slots --ctx-size -c --chunk --kv-type --threads -t --verify --draw --json --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    info) words="--model -m --json --verbose -v --help -h" ;;
    tokenize) words="--model -m --decode --skip-special --json --help -h" ;;
    tiles) words="--model -m --image --max-pixels --no-tiling --output -o --help -h" ;;
    boxes) words="--size --json --help -h" ;;
    trace) words="--model -m --conversation --tile --max-pixels --predict -n --ram --slots --ctx-size -c --chunk --kv-type --threads -t --verify --output -o --routing --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    synth) words="--size --seed -s --output -o --yes -y --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    pack) words="--model -m --quant --type --importance --lora --threads -t --output -o --threshold --level --resume --dry-run --json --yes -y --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    verify) words="--threads -t --json --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    unpack) words="--threads -t --output -o --type --yes -y --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    compare) words="--conversation --max-pixels --predict -n --positions --ctx-size -c --chunk --kv-type --threads -t --verify --json --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    calibrate) words="--model -m --conversation --max-pixels --predict -n --ram --slots --ctx-size -c --chunk --kv-type --threads -t --verify --output -o --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    bench) words="--model -m --quant --only --prompts --contexts --quick --size --seed -s --predict -n --ram --slots --chunk --kv-type --threads -t --repeat --json --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    eval) words="--model -m --tasks --limit --max-pixels --predict -n --ram --slots --ctx-size -c --chunk --kv-type --threads -t --jobs -j --verify --output -o --restart --json --progress --no-progress --quiet -q --verbose -v --help -h" ;;
    plan) words="--model -m --ram --ctx-size -c --chunk --kv-type --threads -t --json --help -h" ;;
    *) return ;;
    esac
    if [[ $word == -* || $command == help ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    else
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}
complete -F _vl2 vl2
