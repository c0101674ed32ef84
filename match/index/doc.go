// Package index reads and writes depmod's binary indexes: modules.alias.bin,
// modules.dep.bin and their kin in /lib/modules/VERSION.
//
// # The format
//
// An index is a radix tree of keys, each with values. All numbers are
// big-endian. The file begins with a magic number, a version whose upper half
// is 2, and the reference of the root. A reference is an offset into the file
// in its low 28 bits and three flags in its top bits, which say which parts
// the node has:
//
//	0x80000000  prefix     bytes, ended by a NUL
//	0x20000000  children   first byte, last byte, then a reference for each
//	                       byte between them, 0 where there is none
//	0x40000000  values     a count, then for each a priority and bytes ended
//	                       by a NUL
//
// in this order. The key of a node is the path to it: its parent's key, the
// byte it is the child of, its prefix. Keys hold no byte above 127.
//
// # Matching
//
// In modules.alias.bin the keys are patterns. [Index.Search] finds those that
// match a name in one walk down the tree. It carries the set of positions that
// the pattern read so far can have reached in the name, as bits (Baeza-Yates
// and Gonnet's Shift-And): a literal byte keeps the positions where the name
// has that byte and moves them on by one, "?" moves all of them, "*" adds all
// positions behind the first. Where the set is empty the subtree is left out,
// and a pattern matches if its end is in the set at the end of the pattern. So
// each prefix that patterns share is evaluated once, without backtracking, for
// names of any length.
//
// # Trust
//
// Files may be damaged or made to harm. Every offset is checked, a walk that
// has read more bytes than the file has is going in circles and ends, and no
// key is longer than a path may be. All of these end in a *[FormatError], none
// in a panic. Only a mapped file that shrinks under the walk is the caller's
// to guard against; package match does.
package index
