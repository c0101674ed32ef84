// Package kofile reads kernel module files, *.ko: what they are built for, and
// what they say about themselves.
//
// # What is read
//
// A module file is a relocatable ELF object (elf(5)). [New] reads its header,
// the table of sections, and the section .modinfo, which holds what the macros
// MODULE_LICENSE, MODULE_FIRMWARE, module_param and so on have left behind, as
// NUL-terminated KEY=VALUE (include/linux/moduleparam.h). [File.Symbols] reads its
// symbol table, and [File.Versions] the versions of what it needs. The rest of the
// file, megabytes sometimes, is left alone. What may be appended, a signature, is
// looked for at the end (scripts/sign-file.c). Compressed files are the matter of the
// package unpack below.
//
// # Files that can't be trusted
//
// Every offset and length is checked against the size of the file, sections
// that a module has no reason to make large are refused when they are, and no
// number from the file decides how much memory is taken: it is some hundred
// kilobytes at most for New, and for Symbols some megabytes beside the names, which
// are as large as in the file. What is wrong is said by an [*Error], with the
// place in the file. [debug/elf] would do this too, but is as large as all that
// the daemon has of this.
package kofile
