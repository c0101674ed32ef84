// Package depmod is the command depmod(8): its options, its words and its exit
// statuses, over package [github.com/kmodd/kmodd/match/depmod].
//
// # Where it differs from kmod
//
// The tables are kmod's, byte for byte; how they come to their places and when -A
// makes new ones is said there. Options that kmod has since version 31 (-o) are
// known. A message names what is wrong in the words of the package that found it, behind
// the first words of kmod's where there are such. Cycles are named as kmod names them, and each
// module that is in one. It is an error if the tables can't be written. docs/tools.md has
// all of it in a table.
//
// Where standard error is a terminal, a line there says how far the reading has
// got, if it takes long.
package depmod
