package usage

import (
	"bytes"
	"strconv"
)

// parseNumber reads a pair such as 8:1, as the attribute dev and mountinfo have
// it.
func parseNumber(text []byte) (n number, ok bool) {
	major, minor, ok := bytes.Cut(text, []byte(":"))
	if !ok {
		return n, false
	}
	a, err1 := strconv.ParseUint(string(major), 10, 32)
	b, err2 := strconv.ParseUint(string(minor), 10, 32)
	return number{major: uint32(a), minor: uint32(b)}, err1 == nil && err2 == nil
}

// A mount is a line of proc_pid_mountinfo(5). Its slices are parts of the line,
// with what is escaped in it.
type mount struct {
	id      int
	number  number // 0:N of a file system that is on no device, or on several
	root    []byte // what of the file system is mounted
	point   []byte
	fstype  []byte
	source  []byte
	options []byte // of the file system
}

// parseMount reads a line of mountinfo:
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
func parseMount(line []byte) (m mount, ok bool) {
	var err error
	for i := 0; ; i++ {
		field, rest, more := bytes.Cut(line, []byte(" "))
		switch i {
		case 0:
			m.id, err = strconv.Atoi(string(field))
		case 2:
			m.number, ok = parseNumber(field)
		case 3:
			m.root = field
		case 4:
			m.point = field
		}
		line = rest
		if err != nil || !more || i == 2 && !ok {
			return m, false
		}
		if i > 5 && string(field) == "-" {
			break
		}
	}
	m.number.block = m.number.major != 0
	m.fstype, line, ok = bytes.Cut(line, []byte(" "))
	if !ok {
		return m, false
	}
	m.source, m.options, _ = bytes.Cut(line, []byte(" "))
	return m, len(m.fstype) > 0
}

// unescape undoes what the kernel does to spaces, tabs, newlines, backslashes and
// # in /proc (mangle in fs/proc_namespace.c): a backslash and three octal digits.
func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) {
			if c, err := strconv.ParseUint(string(b[i+1:i+4]), 8, 8); err == nil {
				out = append(out, byte(c))
				i += 3
				continue
			}
		}
		out = append(out, b[i])
	}
	return string(out)
}

// parseSwaps calls each for every line of /proc/swaps, with the file's name.
//
//	Filename                        Type            Size            Used            Priority
//	/dev/sda2                       partition       1000            0               -2
func parseSwaps(text []byte, each func(file string)) {
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) < 4 || string(fields[0]) == "Filename" {
			continue
		}
		each(unescape(fields[0]))
	}
}

// parseStream reads the status of a PCM stream in /proc/asound: one that is
// closed says so in one word, of another there are lines, "owner_pid   : 123"
// among them.
func parseStream(text []byte) (open bool, owner int) {
	text = bytes.TrimSpace(text)
	if string(text) == "closed" {
		return false, 0
	}
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		if string(bytes.TrimSpace(key)) == "owner_pid" {
			owner, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	return true, max(owner, 0)
}

// parseFlags reads the flags of a network interface, such as 0x1003.
func parseFlags(text []byte) (flags uint32, ok bool) {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 0, 32)
	return uint32(n), err == nil
}

// parseInet6 tells whether /proc/net/if_inet6 lists an address of an interface:
//
//	fe80000000000000505400fffe123456 02 40 20 80     eth0
func parseInet6(text []byte, name string) bool {
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) == 6 && string(fields[5]) == name {
			return true
		}
	}
	return false
}

// parseNamespace reads a link such as mnt:[4026531841], "" if it is none to a
// mount namespace.
func parseNamespace(link []byte) (id string) {
	inner, begins := bytes.CutPrefix(link, []byte("mnt:["))
	inner, ends := bytes.CutSuffix(inner, []byte("]"))
	if !begins || !ends {
		return ""
	}
	if _, err := strconv.ParseUint(string(inner), 10, 64); err != nil {
		return ""
	}
	return string(inner)
}

// parseMountID finds the number of the mount in /proc/PID/fdinfo/FD.
func parseMountID(text []byte) (id int, ok bool) {
	for line := range bytes.Lines(text) {
		if value, found := bytes.CutPrefix(line, []byte("mnt_id:")); found {
			id, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			return id, err == nil
		}
	}
	return 0, false
}
