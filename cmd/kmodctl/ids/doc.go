// Package ids finds the names of PCI and USB devices, vendors and classes in
// the files pci.ids and usb.ids that distributions install.
//
// A file is looked for where distributions put it ([Find]). What is missing is
// never fetched from anywhere. No library reads usb.ids; the one for pci.ids (pcidb)
// takes 20 MB for it, and brings in all of net/http, since it could fetch the file.
//
// # The form of the files
//
// Both are lists of entries, each with a code and a name, that have entries of
// their own below them, one tab deeper:
//
//	0627  Adomax Technology Co., Ltd
//		0001  QEMU Tablet
//	C 03  Human Interface Device
//		01  Boot Interface Subclass
//			02  Mouse
//
// Below a PCI device are the boards that it is on, with two numbers. Entries without a
// tab are vendors, or begin with the letters of another list: C is that of classes. The
// names are from people anywhere, and are printed only where control characters do no
// harm.
package ids
