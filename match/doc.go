// Package match answers questions about the modules that are installed: which
// module has this name, which have an alias that matches, what does it need,
// is it part of the kernel itself.
//
// The answers are in the tables that depmod(8) leaves in /lib/modules/VERSION.
// [Open] maps its binary indexes (package match/index); nothing is read or
// built before a question needs it, and look-ups in the mapped files cost no
// heap. Where an index is missing or unsound, the text file of the same table
// takes its place, and a warning says so. From text an index is built in
// memory, in the order that depmod would have given it, so that the answers are
// the same.
//
// depmod replaces its files by renaming new ones over them, which leaves a
// mapping as it is. Others may rewrite a file in place, and touching a page
// behind the end of a file that has shrunk raises SIGBUS. Look-ups in mapped
// files turn that into an error of their own and go on with the text.
//
// This package says nothing about what an operator wants: package rules puts
// modprobe.d before it.
package match
