package modalias_test

import (
	"fmt"

	"github.com/kmodd/kmodd/modalias"
)

func ExampleParse() {
	id, err := modalias.Parse("sdio:c00v02D0dA9A6")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(id.Form.Bus)
	for _, v := range id.Values {
		fmt.Println(v.Field.Name, v.Text)
	}
	// Output:
	// sdio
	// class 00
	// vendor 02D0
	// device A9A6
}

func ExampleFormOf() {
	for _, alias := range []string{"acpi*:PNP0C14:*", "wmi:59142400-C6A3-40fa-BADB-8A2652834100", "fs-vfat"} {
		if f := modalias.FormOf(alias); f != nil {
			fmt.Println(alias, "is for bus", f.Bus)
		} else {
			fmt.Println(alias, "is for no device")
		}
	}
	// Output:
	// acpi*:PNP0C14:* is for bus acpi
	// wmi:59142400-C6A3-40fa-BADB-8A2652834100 is for no device
	// fs-vfat is for no device
}
