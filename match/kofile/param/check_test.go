package param_test

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
	"github.com/kmodd/kmodd/match/kofile/param"
)

func module(t testing.TB, m kofiletest.Module) *kofile.File {
	t.Helper()
	b := m.Bytes()
	f, err := kofile.New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var every = []string{
	"parmtype=byte:byte", "parmtype=short:short", "parmtype=ushort:ushort", "parmtype=int:int", "parmtype=uint:uint",
	"parmtype=hexint:hexint", "parmtype=long:long", "parmtype=ulong:ulong", "parmtype=ullong:ullong", "parmtype=charp:charp",
	"parmtype=bool:bool", "parmtype=invbool:invbool", "parmtype=bint:bint", "parmtype=some_ints:array of int",
	"parmtype=some_texts:array of charp", "parmtype=string:string", "parmtype=own:colour",
}

// What the kernel answers was seen on Linux 6.1, where the scenario parameters asks it again.
func TestValuesAreTakenAsTheKernelTakesThem(t *testing.T) {
	long := strings.Repeat("x", 1025)
	for name, values := range map[string]struct{ bad, far, good []string }{
		"byte":       {[]string{"", "=", "=many", "=-1", "=-0", "=1.5", "=08", "=0x", "=0b1", "=1_0", "=++1"}, []string{"=256", "=0x100", "=99999999999999999999999x"}, []string{"=0", "=255", "=0xff", "=0XFF", "=+5", "=017", "=\"5\n\""}},
		"short":      {[]string{"=--1", "=-+1", "=+-1"}, []string{"=40000", "=-32769"}, []string{"=-32768", "=32767", "=-0"}},
		"ushort":     {[]string{"=-1"}, []string{"=65536"}, []string{"=40000"}},
		"int":        {[]string{"=1.5", "=many"}, []string{"=4294967296", "=2147483648"}, []string{"=-1", "=017", "=0x10", "=-2147483648"}},
		"uint":       {[]string{"=-1"}, []string{"=4294967296"}, []string{"=4294967295"}},
		"hexint":     {[]string{"=fe"}, nil, []string{"=0xfe"}},
		"long":       {[]string{"=x"}, []string{"=9223372036854775808", "=-9223372036854775809"}, []string{"=-9223372036854775808"}},
		"ulong":      {[]string{"=-5"}, []string{"=18446744073709551616"}, []string{"=18446744073709551615"}},
		"ullong":     {[]string{"=-5"}, nil, []string{"=18446744073709551615"}},
		"charp":      {[]string{""}, nil, []string{"=", "=anything", "=" + long[1:]}},
		"bool":       {[]string{"=", "=2", "=maybe", "=o", "=ox"}, nil, []string{"", "=1", "=0", "=y", "=No", "=on", "=OFF", "=true"}},
		"invbool":    {[]string{"", "=", "=2"}, nil, []string{"=y"}},
		"bint":       {[]string{"=2"}, nil, []string{"", "=on"}},
		"some_ints":  {[]string{"", "=", "=1,", "=1,,2", "=1,x"}, []string{"=1,4294967296"}, []string{"=1", "=1,-2,0x3,4"}},
		"some_texts": {[]string{""}, nil, []string{"=", "=,", "=a,b"}},
		"string":     {[]string{""}, nil, []string{"=anything"}},
		"own":        {nil, nil, []string{"", "=", "=blue"}},
	} {
		f := module(t, kofiletest.Module{Info: every})
		answer := func(word string) syscall.Errno {
			if refused := param.Refused(param.Check(f, name+word)); refused != nil {
				return refused.Errno
			}
			return 0
		}
		for errno, words := range map[syscall.Errno][]string{syscall.EINVAL: values.bad, syscall.ERANGE: values.far, 0: values.good} {
			for _, word := range words {
				if got := answer(word); got != errno {
					t.Errorf("%s%q: %v, and the kernel says %v", name, word, got, errno)
				}
			}
		}
	}
	f := module(t, kofiletest.Module{Info: every})
	if refused := param.Refused(param.Check(f, "charp="+long)); refused == nil || refused.Errno != syscall.ENOSPC {
		t.Errorf("a long text: %v", refused)
	}
}

func TestALongIsShortOn32Bits(t *testing.T) {
	f := module(t, kofiletest.Module{Bits: 32, Machine: 40, Info: every})
	for _, word := range []string{"long=2147483648", "ulong=4294967296"} {
		if refused := param.Refused(param.Check(f, word)); refused == nil || refused.Errno != syscall.ERANGE {
			t.Errorf("%s: %v", word, refused)
		}
	}
	if faults := param.Check(f, "ullong=4294967296 ulong=4294967295"); faults != nil {
		t.Error(faults)
	}
}

func TestFaultsAreNamedWithTypeAndRange(t *testing.T) {
	f := module(t, kofiletest.Module{Info: append(every, "parmtype=debug_level:int")})
	for given, want := range map[string][]string{
		"":                      nil,
		"int=5 -- int=x":        nil,
		"async_probe dyndbg=+p": nil,
		"int=fast":              {`parameter int takes a value of type int, which "fast" is not (-2147483648 to 2147483647)`},
		"invbool":               {`parameter invbool takes a value of type invbool, and none is given (y or n, 1 or 0, on or off)`},
		"debug-level=x":         {`parameter debug-level takes a value of type int, which "x" is not (-2147483648 to 2147483647)`},
		"debuglevel=1 byte=":    {`parameter debuglevel is none of the module's, and the kernel ignores it (near debug_level)`, `parameter byte takes a value of type byte, which "" is not (0 to 255)`},
		"wholly_else":           {`parameter wholly_else is none of the module's, and the kernel ignores it`},
	} {
		var got []string
		for _, fault := range param.Check(f, given) {
			says := fault.Error()
			if fault.Near != "" {
				says += " (near " + fault.Near + ")"
			}
			got = append(got, says)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", given, diff)
		}
	}
}

func TestTheKernelAnswersWithTheLastFault(t *testing.T) {
	f := module(t, kofiletest.Module{Info: every})
	refused := param.Refused(param.Check(f, "byte=300 short=x nosuch"))
	if refused == nil || refused.Name != "short" {
		t.Errorf("%v", refused)
	}
}

func TestWordsAreTakenApartAsTheKernelDoes(t *testing.T) {
	type words = []param.Word
	for given, want := range map[string]words{
		" \t a=b\xa0c\n": {{Name: "a", Value: "b", HasValue: true}, {Name: "c"}},
		`a="b c" d`:      {{Name: "a", Value: "b c", HasValue: true}, {Name: "d"}},
		`"a=b c" "d e"`:  {{Name: "a", Value: "b c", HasValue: true}, {Name: "d e"}},
		`a=b"c d"`:       {{Name: "a", Value: `b"c d"`, HasValue: true}},
		`a="b c`:         {{Name: "a", Value: "b c", HasValue: true}},
		`=a =b=c a=b=c`:  {{Name: "=a"}, {Name: "=b", Value: "c", HasValue: true}, {Name: "a", Value: "b=c", HasValue: true}},
		`a="`:            {{Name: "a", HasValue: true}},
		`"`:              {{}},
		`a -- b`:         {{Name: "a"}},
		`a --= b`:        {{Name: "a"}, {Name: "--", HasValue: true}, {Name: "b"}},
	} {
		var got words
		for w := range param.Words(given) {
			got = append(got, w)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", given, diff)
		}
	}
}

func TestWhateverIsGivenIsSaidInOneLine(t *testing.T) {
	f := module(t, kofiletest.Module{Info: append(every, "parmtype=\x1b:array of \n\x1b")})
	rapid.Check(t, func(t *rapid.T) {
		for _, fault := range param.Check(f, rapid.String().Draw(t, "given")+" \x1b") {
			if says := fault.Error(); strings.ContainsAny(says, "\n\x1b") {
				t.Errorf("%q", says)
			}
		}
	})
}
