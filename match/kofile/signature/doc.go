// Package signature reads the signature of a kernel module file. It is apart from the
// package kofile so that ASN.1 is not linked into the resident daemon; whether the
// signature is good, package trust finds out.
//
// # What is appended
//
// After a signed module's last byte come the signature, twelve bytes that say
// what it is (struct module_signature in include/linux/module_signature.h), and
// a line of text that marks it. Since Linux 4.3 the signature is a PKCS#7 (RFC 2315,
// now CMS, RFC 5652) of the narrow form that scripts/sign-file.c makes: one
// signer, named by issuer and serial number or by the identifier of its key, over
// content that is not in it, usually without attributes and certificates. Which is
// why this is a hundred lines over encoding/asn1: the libraries for PKCS#7 know no
// signers by key identifier, and want the certificate inside. Older kernels' signatures, a
// name, a key's identifier and a number, are read and can't be verified.
package signature
