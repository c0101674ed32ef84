package depmod

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A Kernel is what a kernel exports itself. The zero value knows of nothing, so
// that nothing can be said to be missing.
type Kernel struct {
	crcs     map[string]uint64
	versions bool // whether the CRCs are known
}

// ReadSystemMap reads a System.map, whose lines are
//
//	ADDRESS TYPE NAME
//
// and takes what has an entry __ksymtab_NAME. The messages name the file.
func ReadSystemMap(file string, r io.Reader, prefix byte) (Kernel, []Message, error) {
	k := newKernel()
	messages, err := eachLine(file, r, func(line string) string {
		fields := strings.SplitN(line, " ", 3)
		if len(fields) < 3 {
			return `not "ADDRESS TYPE NAME"`
		}
		symbol := strings.TrimSuffix(fields[2], "\n")
		if prefix != 0 {
			symbol = strings.TrimPrefix(symbol, string(prefix))
		}
		if name, ok := strings.CutPrefix(symbol, "__ksymtab_"); ok {
			k.crcs[name] = 0
		}
		return ""
	})
	return k, messages, err
}

// ReadSymvers reads a Module.symvers, whose lines are
//
//	CRC NAME vmlinux TYPE
//
// for what the kernel exports, with blanks or tabulators between. The messages name the file.
func ReadSymvers(file string, r io.Reader, prefix byte) (Kernel, []Message, error) {
	k := newKernel()
	k.versions = true
	bare := newSymbols(prefix).bare
	messages, err := eachLine(file, r, func(line string) string {
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(fields) < 3 || fields[2] != "vmlinux" {
			return ""
		}
		crc, err := strconv.ParseUint(strings.TrimPrefix(fields[0], "0x"), 16, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return fmt.Sprintf("%.40q is no version of a symbol", fields[0])
		}
		k.crcs[bare(fields[1])] = crc
		return ""
	})
	return k, messages, err
}

// newKernel has what every kernel is taken to have: what the loader makes, and
// the names that s390 and PowerPC have for their table of offsets.
func newKernel() Kernel {
	return Kernel{crcs: map[string]uint64{"__this_module": 0, "_GLOBAL_OFFSET_TABLE_": 0, "TOC.": 0}}
}

// eachLine calls parse with each line, and makes a message of what it says.
func eachLine(file string, r io.Reader, parse func(string) string) (messages []Message, err error) {
	const longest = 10240 // for depmod, too
	lines := bufio.NewReaderSize(r, longest)
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			if says := parse(string(line)); says != "" {
				messages = append(messages, Message{Error, fmt.Sprintf("%s:%d: line skipped: %s", file, number, says)})
			}
		}
		switch {
		case err == io.EOF:
			return messages, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return messages, fmt.Errorf("read %s: %w", file, err)
		}
	}
}
