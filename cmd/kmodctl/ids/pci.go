package ids

import (
	"fmt"

	"github.com/jaypipes/pcidb"
)

// PCI is what a pci.ids says. It is safe for concurrent use.
type PCI struct{ db *pcidb.DB }

// OpenPCI reads a pci.ids, which may be compressed with gzip if its name says
// so. It takes some 20 MB: pcidb keeps all of the file.
func OpenPCI(file string) (p *PCI, err error) {
	f, err := open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	defer func() { // pcidb counts on each line to have its columns
		if problem := recover(); problem != nil {
			p, err = nil, fmt.Errorf("read names from %s: %v; is it a %s?", file, problem, PCIFile)
		}
	}()
	// Without a word on it the environment could have the file fetched from the
	// network, were it removed at this moment.
	fetch := false
	db, err := pcidb.New(&pcidb.WithOption{Path: &file, EnableNetworkFetch: &fetch})
	if err != nil {
		return nil, fmt.Errorf("read names from %s: %w", file, err)
	}
	if len(db.Vendors)+len(db.Classes) == 0 {
		return nil, fmt.Errorf("read names from %s: no vendor and no class is in it; is it a %s?", file, PCIFile)
	}
	return &PCI{db}, nil
}

// Device returns the name of a vendor and of its device, as far as they are
// known: none, one or two names. The numbers are hexadecimal.
func (p *PCI) Device(vendor, device string) (names []string) {
	v := p.db.Vendors[code(vendor)]
	if v == nil {
		return nil
	}
	names = append(names, v.Name)
	if d := p.db.Products[code(vendor+device)]; d != nil {
		names = append(names, d.Name)
	}
	return names
}

// Subsystem returns the name of the board that a device is on, empty if it is
// not known. The board's vendor is one that Device knows.
func (p *PCI) Subsystem(vendor, device, boardVendor, board string) string {
	d := p.db.Products[code(vendor+device)]
	if d == nil {
		return ""
	}
	for _, s := range d.Subsystems {
		if s.VendorID == code(boardVendor) && s.ID == code(board) {
			return s.Name
		}
	}
	return ""
}

// Class returns the names of a class, its subclass and its programming
// interface, as far as they are known.
func (p *PCI) Class(class, subclass, protocol string) (names []string) {
	c := p.db.Classes[code(class)]
	if c == nil {
		return nil
	}
	names = append(names, c.Name)
	for _, s := range c.Subclasses {
		if s.ID != code(subclass) {
			continue
		}
		names = append(names, s.Name)
		for _, i := range s.ProgrammingInterfaces {
			if i.ID == code(protocol) {
				return append(names, i.Name)
			}
		}
	}
	return names
}
