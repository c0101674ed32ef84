// Package modalias is the language of names between hardware and drivers.
//
// # Names
//
// A device that some module may drive carries a MODALIAS, a string such as
//
//	pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00
//
// and every module carries patterns of such strings, made from its device
// tables when the kernel was built (scripts/mod/file2alias.c in the kernel).
// depmod(8) collects the patterns into modules.alias. A device's driver is
// whatever module has a pattern that matches.
//
// The kernel can't tell "-" from "_" in the name of a module: a file is named
// snd-hda-intel.ko and the module in it snd_hda_intel. So names are compared
// in one form, with underscores: [ModuleName] makes it for names of modules,
// [Normalize] for aliases and for what people write in modprobe.d, where a
// bracket expression must keep its ranges.
//
// # Patterns
//
// A pattern is what fnmatch(3) with no flags takes: "*" is any string, "?"
// any byte, "[a-f]" one byte of a set, "[!a-f]" one byte outside it, and "\"
// takes the byte after it as it is. Both "*" and "?" match "/" too, which is
// where path.Match differs: DMI aliases hold dates such as "bd04/17/2019".
// Named classes ("[[:digit:]]") are not part of it, since their second "]"
// is stray by the rule that Normalize holds names to.
//
// [Match] matches one name against one pattern. Matching against all patterns
// of a kernel is the work of match/index.
//
// # Forms
//
// What a device id says is a matter of its bus. A [Form] describes the ids of
// one: a prefix, and fields in their order, each with the tag before it and the
// kind of its values. [Parse] takes an id apart by its form, and an [ID] is
// printed as it was:
//
//	id, err := modalias.Parse("virtio:d00000001v00001AF4")
//	id.Form.Bus      // "virtio"
//	id.Get("device") // "00000001"
//
// [FormOf] tells which bus a pattern is for, by what it can match: the one
// whose ids it can. A pattern that can match none will never load its module.
//
// [ParsePattern] takes a pattern apart in the same way.
//
// Forms are for telling people what a device is. Matching takes names as they
// are, and needs to know no bus.
//
// Nothing here does I/O, and all functions are safe for concurrent use.
package modalias
