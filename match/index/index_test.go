package index_test

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/match/index"
	"github.com/kmodd/kmodd/modalias"
)

// file is the bytes of an index with the given root reference and, from offset
// 12 on, what follows the header.
func file(root uint32, rest ...byte) []byte {
	data := []byte{0xB0, 0x07, 0xF4, 0x57, 0, 2, 0, 1}
	data = binary.BigEndian.AppendUint32(data, root)
	return append(data, rest...)
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		data []byte
		says string
	}{
		{"an empty file", nil, "ends within the header"},
		{"a file that ends within the header", file(0)[:11], "ends within the header"},
		{"another kind of file", append([]byte("\x7fELF"), file(0)[4:]...), "magic number"},
		{"a version to come", append([]byte{0xB0, 0x07, 0xF4, 0x57, 0, 3}, file(0)[6:]...), "version 3.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := index.New(tt.data)
			wantFormatError(t, err, tt.says)
		})
	}
}

func TestNewTakesAnyMinorVersion(t *testing.T) {
	if _, err := index.New(append([]byte{0xB0, 0x07, 0xF4, 0x57, 0, 2, 0, 9}, file(12)[8:]...)); err != nil {
		t.Error(err)
	}
}

const (
	prefix   = 0x80000000
	values   = 0x40000000
	children = 0x20000000
)

// Each of these is found by all three ways to read an index.
func TestUnsoundFilesAreErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		data []byte
		says string
	}{
		{"a root in the header", file(prefix|4, 0), "outside the file"},
		{"a root beyond the end", file(prefix|0x0FFFFFFF, 0), "outside the file"},
		{"a prefix without an end", file(prefix|12, 'a'), "without an end"},
		{"children cut short", file(children|12, '*'), "ends within a node"},
		{"references cut short", file(children|12, '*', '*', 0, 0), "ends within a node"},
		{"a count cut short", file(values|12, 0, 0, 0), "ends within a node"},
		{"first child after the last", file(children|12, 'b', 'a', 0, 0, 0, 0), "children from byte 98 to 97"},
		{"a child above 127", file(children|12, '*', 128, 0, 0, 0, 0), "children from byte 42 to 128"},
		{"a child beyond the end", file(children|12, '*', '*', 0x80, 0, 1, 0), "outside the file"},
		{"a node that is its own child", file(children|12, '*', '*', 0x20, 0, 0, 12), "circles"},
		{"a child that is its grandparent", file(children|12, '*', '*', 0x20, 0, 0, 18, '*', '*', 0x20, 0, 0, 12), "circles"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := index.New(tt.data)
			if err != nil { // the root itself is unsound
				wantFormatError(t, err, tt.says)
				return
			}
			_, err = x.Search(nil, "***")
			wantFormatError(t, err, tt.says)
			wantFormatError(t, x.Each(func([]byte, index.Value) {}), tt.says)
			if strings.Contains(tt.says, "circles") {
				return // a key has an end, so looking for it has
			}
			_, err = x.Lookup(nil, "***")
			wantFormatError(t, err, tt.says)
		})
	}
}

// A pattern must match for its values to be looked at.
func TestUnsoundValuesAreErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		data []byte
		says string
	}{
		{"fewer values than counted", file(prefix|values|12, 'a', 0, 0, 0, 0, 2, 0, 0, 0, 1, 'm', 0), "outside the file"},
		{"more values than memory", file(prefix|values|12, 'a', 0, 0xFF, 0xFF, 0xFF, 0xFF), "outside the file"},
		{"a value without an end", file(prefix|values|12, 'a', 0, 0, 0, 0, 1, 0, 0, 0, 1, 'm'), "without an end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := index.New(tt.data)
			if err != nil {
				t.Fatal(err)
			}
			_, err = x.Search(nil, "a")
			wantFormatError(t, err, tt.says)
			_, err = x.Lookup(nil, "a")
			wantFormatError(t, err, tt.says)
			wantFormatError(t, x.Each(func([]byte, index.Value) {}), tt.says)
		})
	}
}

// Two children that are one node double the ways at each level: 40 levels are
// 240 bytes of file and a trillion ways.
func TestSharedChildrenDoNotMultiply(t *testing.T) {
	var rest []byte
	const levels, size = 40, 2 + 2*4
	for level := range levels {
		next := uint32(headerSize + (level+1)*size)
		if level < levels-1 {
			next |= children
		} else {
			next = prefix | next
		}
		rest = append(rest, '*', '+')
		rest = binary.BigEndian.AppendUint32(rest, next)
		rest = binary.BigEndian.AppendUint32(rest, next)
	}
	x, err := index.New(file(children|headerSize, append(rest, 'x', 0)...))
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.Search(nil, strings.Repeat("+", 100))
	wantFormatError(t, err, "circles")
	wantFormatError(t, x.Each(func([]byte, index.Value) {}), "circles")
}

const headerSize = 12

func wantFormatError(t *testing.T, err error, says string) {
	t.Helper()
	var bad *index.FormatError
	if !errors.As(err, &bad) || !strings.Contains(bad.Says, says) {
		t.Errorf("error is %v, want a *FormatError that says %q", err, says)
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   index.Entry
	}{
		{"a key with a byte above 127", index.Entry{Key: "usb\x80"}},
		{"a key with a NUL", index.Entry{Key: "usb\x00"}},
		{"a key longer than a path", index.Entry{Key: strings.Repeat("a", 4097)}},
		{"a value with a NUL", index.Entry{Key: "usb", Text: "a\x00b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := index.Write([]index.Entry{tt.in}); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestWriteNothing(t *testing.T) {
	x := written(t, nil)
	if got, err := x.Search(nil, "a"); err != nil || len(got) != 0 {
		t.Errorf("Search = %v, %v", got, err)
	}
}

func TestLookupTakesPatternsLiterally(t *testing.T) {
	x := written(t, []index.Entry{{"a*", 1, "star"}, {"ab", 2, "b"}, {"abc", 3, "c"}, {"abc", 1, "first"}})
	for key, want := range map[string]string{"a": "", "a*": "star", "ab": "b", "abc": "first c", "abcd": "", "abd": "", "": ""} {
		got, err := x.Lookup(nil, key)
		if err != nil {
			t.Fatal(err)
		}
		if texts(got) != want {
			t.Errorf("Lookup(%q) = %q, want %q", key, texts(got), want)
		}
	}
}

// What a "[" that nothing closes means can only be said at the end of the
// pattern; Write leaves such keys alone, as they can't do harm.
func TestSearchUnclosedBracket(t *testing.T) {
	x := written(t, []index.Entry{{"a[b", 1, "unclosed"}, {"a[b]", 1, "closed"}, {`a\`, 1, "escaped"}})
	for name, want := range map[string]string{"a[b": "unclosed", "ab": "closed", `a\`: "", "a[b]": ""} {
		got, err := x.Search(nil, name)
		if err != nil {
			t.Fatal(err)
		}
		if texts(got) != want {
			t.Errorf("Search(%q) = %q, want %q", name, texts(got), want)
		}
	}
}

func TestSearchFuncNamesThePattern(t *testing.T) {
	x := written(t, []index.Entry{{"usb:v*p[0-3]*", 1, "a"}, {"usb:v1p2", 2, "b"}, {"usb:v1p3", 3, "c"}})
	got := map[string]string{}
	err := x.SearchFunc("usb:v1p2", func(pattern []byte, v index.Value) { got[string(pattern)] = string(v.Text) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(map[string]string{"usb:v*p[0-3]*": "a", "usb:v1p2": "b"}, got); diff != "" {
		t.Error(diff)
	}
}

// The walk over the tree finds what trying each pattern finds.
func TestSearchIsMatchingEach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(entry, 0, 40).Draw(t, "entries")
		x := written(t, entries)
		name := strings.Join(rapid.SliceOfN(pieces, 0, 12).Draw(t, "name"), "")
		var want []string
		for _, e := range entries {
			if modalias.Match(e.Key, name) {
				want = append(want, fmt.Sprint(e))
			}
		}
		var got []string
		err := x.SearchFunc(name, func(pattern []byte, v index.Value) {
			got = append(got, fmt.Sprint(index.Entry{string(pattern), v.Priority, string(v.Text)}))
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("matches of %q:\n%s", name, diff)
		}
		plain, err := x.Search(nil, name)
		if err != nil || len(plain) != len(want) {
			t.Fatalf("Search finds %d, %v; SearchFunc %d", len(plain), err, len(want))
		}
	})
}

func TestEachReadsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(entry, 0, 40).Draw(t, "entries")
		x := written(t, entries)
		var got []index.Entry
		if err := x.Each(func(key []byte, v index.Value) {
			got = append(got, index.Entry{string(key), v.Priority, string(v.Text)})
		}); err != nil {
			t.Fatal(err)
		}
		slices.SortStableFunc(entries, func(a, b index.Entry) int {
			return cmp.Or(strings.Compare(a.Key, b.Key), cmp.Compare(a.Priority, b.Priority))
		})
		if !slices.Equal(got, entries) {
			t.Fatal(gocmp.Diff(entries, got))
		}
	})
}

var (
	// Pieces of patterns and of names. The long ones carry both across the
	// words of the sets.
	pieces = rapid.SampledFrom([]string{"a", "b", "ab", "-", "[", "0", "pci:v0000", "\x80",
		strings.Repeat("ab", 31), strings.Repeat("a", 63), strings.Repeat("b", 64), strings.Repeat("a", 130)})
	elements = rapid.SampledFrom([]string{"a", "b", "ab", "-", "0", "pci:v0000", "*", "*", "?", `\*`, `\[`, `\\`,
		"[ab]", "[!a]", "[a-", "]", "[]a]", "[!]]", `[\]b]`, "[", `\`,
		strings.Repeat("ab", 31), strings.Repeat("a", 63), strings.Repeat("?", 64)})
	entry = rapid.Custom(func(t *rapid.T) index.Entry {
		return index.Entry{
			Key:      strings.Join(rapid.SliceOfN(elements, 0, 6).Draw(t, "key"), ""),
			Priority: rapid.Uint32Range(0, 3).Draw(t, "priority"),
			Text:     rapid.SampledFrom([]string{"", "e1000", "snd_hda_intel"}).Draw(t, "text"),
		}
	})
)

// written is an index of entries, which stay in their order.
func written(t interface {
	Helper()
	Fatal(...any)
}, entries []index.Entry) *index.Index {
	t.Helper()
	data, err := index.Write(slices.Clone(entries))
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.New(data)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func texts(list []index.Value) string {
	var s []string
	for _, v := range list {
		s = append(s, string(v.Text))
	}
	return strings.Join(s, " ")
}

// FuzzIndex reads whatever there is: no file may make it panic, run on, or find
// something that the pattern doesn't match.
func FuzzIndex(f *testing.F) {
	sound, err := index.Write([]index.Entry{{"usb:v*p[0-3]?", 1, "a"}, {"usb:v1p2", 2, "b"}, {`a\*[!b]`, 3, "c"}, {"", 0, ""}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sound, "usb:v1p22")
	f.Add(sound[:len(sound)-3], "a*c")
	f.Add(file(children|12, '*', '*', 0x20, 0, 0, 12), "a")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		x, err := index.New(data)
		if err != nil {
			return
		}
		_ = x.SearchFunc(name, func(pattern []byte, _ index.Value) {
			if !modalias.Match(string(pattern), name) {
				t.Errorf("%q is said to match %q", pattern, name)
			}
		})
		_ = x.Each(func(key []byte, _ index.Value) {
			if _, err := x.Lookup(nil, string(key)); err != nil && !errors.As(err, new(*index.FormatError)) {
				t.Error(err)
			}
		})
	})
}
