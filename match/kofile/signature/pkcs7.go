package signature

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"

	"github.com/kmodd/kmodd/match/kofile"
)

// What PKCS#7 says in ASN.1 (RFC 5652, sections 3, 5.1 and 5.3).
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
	signedData struct {
		Version      int
		Hashes       []pkix.AlgorithmIdentifier `asn1:"set"`
		Content      contentInfo
		Certificates []asn1.RawValue `asn1:"optional,set,tag:0"`
		Revoked      []asn1.RawValue `asn1:"optional,set,tag:1"`
		Signers      []signerInfo    `asn1:"set"`
	}
	signerInfo struct {
		Version    int
		ID         asn1.RawValue // an issuerAndSerial, or a key's identifier with tag 0
		Hash       pkix.AlgorithmIdentifier
		Attributes []asn1.RawValue `asn1:"optional,set,tag:0"`
		Algorithm  pkix.AlgorithmIdentifier
		Signature  []byte
		Unsigned   []asn1.RawValue `asn1:"optional,set,tag:1"`
	}
	issuerAndSerial struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	// A partSET is a SET by its name, for encoding/asn1.
	partSET []struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
)

var (
	data       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	dataSigned = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	commonName = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// parse reads a PKCS#7 that is appended at a place in the file. It is over all before that.
func parse(der []byte, at int64) (*Signature, error) {
	signer, err := firstSigner(der)
	if err == nil {
		s := &Signature{Kind: PKCS7, Hash: hashName(signer.Hash.Algorithm), Bytes: signer.Signature, content: at}
		if len(signer.Attributes) > 0 {
			s.refused = "it is over attributes"
		}
		if err = s.identify(signer.ID); err == nil {
			return s, nil
		}
	}
	return nil, &kofile.Error{Offset: at, Says: "the signature is no PKCS#7 as kernels have it: " + err.Error()}
}

func firstSigner(der []byte) (*signerInfo, error) {
	var outer contentInfo
	if err := whole(der, &outer); err != nil {
		return nil, err
	}
	if !outer.Type.Equal(dataSigned) {
		return nil, errors.New("it is no signed data")
	}
	var signed signedData
	if err := whole(outer.Content.Bytes, &signed); err != nil {
		return nil, err
	}
	switch {
	case !signed.Content.Type.Equal(data):
		return nil, errors.New("what is signed is not data")
	case len(signed.Content.Content.FullBytes) > 0:
		return nil, errors.New("it has content of its own")
	case len(signed.Signers) == 0:
		return nil, errors.New("nobody has signed")
	}
	return &signed.Signers[0], nil
}

// whole parses DER with nothing after it.
func whole(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) > 0 {
		err = asn1.SyntaxError{Msg: "bytes after its end"}
	}
	return err
}

// identify reads who the signer is.
func (s *Signature) identify(id asn1.RawValue) error {
	if id.Class == asn1.ClassContextSpecific && id.Tag == 0 {
		s.KeyID, s.ByKey = id.Bytes, true
		return nil
	}
	var by issuerAndSerial
	if err := whole(id.FullBytes, &by); err != nil {
		return err
	}
	s.issuer, s.KeyID = by.Issuer.FullBytes, by.Serial.Bytes()
	var name []partSET
	if err := whole(by.Issuer.FullBytes, &name); err != nil {
		return err
	}
	for _, parts := range name {
		for _, part := range parts {
			s.Signer = string(part.Value.Bytes)
			if part.Type.Equal(commonName) {
				return nil
			}
		}
	}
	return nil
}
