package control

import (
	_ "embed"
)

// Interface is what the daemon speaks.
const Interface = "io.kmodd"

// service is the interface that every Varlink service has, so that a client
// can find out about the others.
const service = "org.varlink.service"

//go:embed io.kmodd.varlink
var description string

const serviceDescription = `# What every Varlink service says of itself.
interface org.varlink.service

method GetInfo() -> (
  vendor: string,
  product: string,
  version: string,
  url: string,
  interfaces: []string
)

method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)
error MethodNotFound (method: string)
error MethodNotImplemented (method: string)
error InvalidParameter (parameter: string)
error PermissionDenied ()
error ExpectedMore ()
`

type serviceInfo struct {
	Vendor     string   `json:"vendor"`
	Product    string   `json:"product"`
	Version    string   `json:"version"`
	URL        string   `json:"url"`
	Interfaces []string `json:"interfaces"`
}

type interfaceDescription struct {
	Description string `json:"description"`
}

// introspect answers the calls of org.varlink.service.
func introspect(c call, version string) (any, error) {
	switch c.Method {
	case service + ".GetInfo":
		return serviceInfo{
			Vendor:     "kmodd",
			Product:    "kmodd",
			Version:    version,
			URL:        "https://github.com/kmodd/kmodd",
			Interfaces: []string{service, Interface},
		}, c.takes()
	case service + ".GetInterfaceDescription":
		return describe(c)
	}
	return nil, methodNotFound(c.Method)
}

func describe(c call) (any, error) {
	name, err := c.text("interface")
	if err != nil {
		return nil, err
	}
	switch name {
	case Interface:
		return interfaceDescription{description}, nil
	case service:
		return interfaceDescription{serviceDescription}, nil
	}
	return nil, &Error{Name: NameInterfaceNotFound, Detail: Detail{Interface: name}}
}
