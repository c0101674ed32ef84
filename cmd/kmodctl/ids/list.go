package ids

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A List is an open pci.ids or usb.ids. It holds where in the file each vendor and class
// is, some hundred kilobytes, and reads names when it is asked for them. It is safe
// for concurrent use.
type List struct {
	text  io.ReaderAt
	size  int64
	at    map[string]int64 // of the entry of a vendor, "0627", or class, "C 03"
	close func() error
}

// Open opens a list, which may be compressed with gzip if its name says so, and is held
// in memory then. Close ends its use.
func Open(file string) (l *List, err error) {
	f, err := open(file)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(file) == ".gz" {
		l, err = readPacked(f)
		f.Close()
	} else {
		l, err = readOpen(f)
	}
	if err != nil {
		return nil, fmt.Errorf("read names from %s: %w", file, err)
	}
	return l, nil
}

// readOpen reads a file that stays open, unless that fails.
func readOpen(f *os.File) (l *List, err error) {
	info, err := f.Stat()
	if err == nil {
		l, err = Read(f, info.Size())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	l.close = f.Close
	return l, nil
}

func readPacked(f io.Reader) (*List, error) {
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(unpacked, largest))
	if err != nil {
		return nil, err
	}
	return Read(bytes.NewReader(text), int64(len(text)))
}

// Read goes through a text of that many bytes and keeps where its entries
// are. Lines that are no entries are passed over: the error is one of reading,
// or says that there are no entries at all.
func Read(text io.ReaderAt, size int64) (*List, error) {
	l := &List{text: text, size: min(size, largest), at: map[string]int64{}, close: func() error { return nil }}
	lines := l.lines(0)
	for lines.next() {
		key, _, ok := entry(lines.text)
		if _, twice := l.at[key]; ok && !twice && (isCode(key, 4) || strings.HasPrefix(key, "C ") && isCode(key[2:], 2)) {
			l.at[key] = lines.begin
		}
	}
	if lines.err != nil {
		return nil, lines.err
	}
	if len(l.at) == 0 {
		return nil, fmt.Errorf("no vendor and no class is in it; is it a %s or %s?", PCIFile, USBFile)
	}
	return l, nil
}

// Close closes the file.
func (l *List) Close() error { return l.close() }

// Device returns the name of a vendor and of its device, as far as they are
// known: none, one or two names. The numbers are hexadecimal.
func (l *List) Device(vendor, device string) []string { return l.names(code(vendor), code(device)) }

// Subsystem returns the name of the board that a PCI device is on, empty if it is
// not known. The board's vendor is one that Device knows.
func (l *List) Subsystem(vendor, device, boardVendor, board string) string {
	names := l.names(code(vendor), code(device), code(boardVendor)+" "+code(board))
	if len(names) < 3 {
		return ""
	}
	return names[2]
}

// Class returns the names of a class, its subclass and its protocol or programming
// interface, as far as they are known.
func (l *List) Class(class, subclass, protocol string) []string {
	return l.names("C "+code(class), code(subclass), code(protocol))
}

// names are those of an entry, of one that is below it, and so on.
func (l *List) names(key string, below ...string) (names []string) {
	at, ok := l.at[key]
	if !ok {
		return nil
	}
	lines := l.lines(at)
	lines.next()
	now, name, _ := entry(lines.text)
	if now != key {
		return nil // the file has changed
	}
	names = append(names, name)
	for len(below) > 0 && lines.next() {
		if len(lines.text) == 0 || lines.text[0] == '#' {
			continue
		}
		deep := len(lines.text) - len(bytes.TrimLeft(lines.text, "\t"))
		if deep < len(names) {
			return names
		}
		key, name, ok := entry(lines.text[deep:])
		if ok && deep == len(names) && key == below[0] {
			names, below = append(names, name), below[1:]
		}
	}
	return names
}

// entry takes a line apart. It reports false for a comment, an empty line, and
// for what is below another entry.
func entry(line []byte) (key, name string, ok bool) {
	k, n, ok := bytes.Cut(line, []byte("  "))
	n = bytes.TrimSpace(n)
	if !ok || len(n) == 0 || len(k) == 0 || k[0] == '\t' || k[0] == '#' {
		return "", "", false
	}
	return string(k), strings.ToValidUTF8(string(n), "\uFFFD"), true
}

// isCode reports whether s is a number of so many digits as the files write it.
func isCode(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789abcdef") == ""
}

// lines goes through the lines of a text, and knows where each begins. It has the
// beginnings of lines that are longer than any name.
type lines struct {
	from  *bufio.Reader
	begin int64  // of the line
	end   int64  // of the line, with its newline
	text  []byte // of the line, until the next one
	err   error
}

const (
	lineMost   = 256 // bytes of a line that are kept; those of the two files have up to 160
	readAtOnce = 4 << 10
)

func (l *List) lines(at int64) *lines {
	return &lines{from: bufio.NewReaderSize(io.NewSectionReader(l.text, at, l.size-at), readAtOnce), end: at}
}

func (l *lines) next() bool {
	l.begin = l.end
	part, err := l.from.ReadSlice('\n')
	l.end += int64(len(part))
	l.text = bytes.TrimRight(part[:min(len(part), lineMost)], "\r\n")
	if err == bufio.ErrBufferFull {
		l.text = bytes.Clone(l.text)
	}
	for err == bufio.ErrBufferFull {
		part, err = l.from.ReadSlice('\n')
		l.end += int64(len(part))
	}
	if err != nil && err != io.EOF {
		l.err = err
	}
	return l.err == nil && l.end > l.begin
}
