// Package modprobe is the command modprobe(8): its options, its words and its
// exit statuses, over the one search of package rules. It works without a
// daemon, and with an empty environment, since the kernel's own helper
// (/proc/sys/kernel/modprobe) may call it.
//
// # Putting in
//
// Of a name, or of every name with -a, [rules.Set.Ask] says which modules it
// leads to, and for each of them the steps, which are carried out one after
// another in this process. What is live is passed over. A step that fails ends
// that module's steps, unless only a softdep asks for it. Install commands are
// run with this process's environment.
//
// # Taking out
//
// [rules.Set.Removal] says what goes together. What is in use stays, and is
// never waited for unless -w says how long.
//
// # Showing symbols
//
// --show-exports and --dump-modversions are about a file, for which no tables are read.
//
// # Where it differs from kmod
//
// The words on standard error begin with kmod's; lines that explain them may
// follow. --compat=kmod leaves these away, and undoes what follows:
//
//   - What modprobe.d means: see package rules.
//   - -n and -D name a module once. kmod names it again for each module that
//     needs it.
//   - What a module has needed is taken out after it as far as nothing else uses
//     it. kmod looks at each of these modules once, those first that the others
//     need, so that they stay.
//   - What a softdep names and can't be taken out stays, without a word. For kmod
//     that is fatal, unless -a or -q is given.
//   - -r takes out each module once, where softdeps lead to it again.
//   - -r -n says what -r would do. kmod names only what is unused now.
//   - --remove-holders takes out the holders of holders, too.
//   - A name that leads to a module which is not installed is warned of with -n.
//   - Parameters that the kernel would refuse it is not asked with, unless -f is given:
//     errno, exit status and kmod's words are those of its refusal. What it would ignore
//     is warned of.
//
// Not undone are: several blanks in MODPROBE_OPTIONS are as good as one, and a
// quote there may lack its end. Of a module without versions that exports symbols in a
// namespace, --show-exports does not show the namespace as a symbol, and a file that is
// unsound or cut short is refused where kmod shows what it has read.
package modprobe
