package signature

// What tests make signatures of.
type (
	ContentInfo     = contentInfo
	SignedData      = signedData
	SignerInfo      = signerInfo
	Algorithm       = algorithm
	IssuerAndSerial = issuerAndSerial
)

var (
	Data       = data
	DataSigned = dataSigned
	Hashes     = hashes
)
