package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecordedEventsAreRead(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
		err        string
	}{
		{name: "a key above all events", text: "SUBSYSTEM=usb\n", err: `"SUBSYSTEM=usb" is neither`},
		{name: "a line that is nothing", text: "add@/devices/a\nhello\n", err: `"hello" is neither`},
		{name: "nothing", text: "# nobody\n\n"},
		{name: "two events", text: "# of a PC\nadd@/devices/a@1\nSUBSYSTEM=usb\n\nMODALIAS=x@/y=z\nremove@/devices/b\n", want: []string{
			"add@/devices/a@1 ACTION=add DEVPATH=/devices/a@1 SUBSYSTEM=usb MODALIAS=x@/y=z ",
			"remove@/devices/b ACTION=remove DEVPATH=/devices/b ",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			messages, err := recorded(tt.text)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want one with %s", err, tt.err)
				}
				return
			}
			var got []string
			for _, m := range messages {
				got = append(got, strings.ReplaceAll(string(m), "\x00", " "))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("error %v; messages (-want +got):\n%s", err, diff)
			}
		})
	}
}
