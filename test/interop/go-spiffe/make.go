package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
)

func makeKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "P-256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "P-384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "P-521":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "RSA-1024":
		return rsa.GenerateKey(rand.Reader, 1024)
	case "RSA-2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "RSA-3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "RSA-4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "Ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("no such kind of key: %s", kind)
}

type requestAnswer struct {
	Pem string `json:"pem"`
	// Base64 of the DER.
	Der string `json:"der"`
	Key string `json:"key"`
}

func makeRequest(args []string) (any, error) {
	if err := want(args, 1); err != nil {
		return nil, err
	}
	key, err := makeKey(args[0])
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"web.example.org"}}, key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return requestAnswer{encode("CERTIFICATE REQUEST", der), base64.StdEncoding.EncodeToString(der), encode("PRIVATE KEY", pkcs8)}, nil
}

func encode(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

// authority is a test authority of example.org: it signs what it is told to.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

type wishes struct {
	uris      []string
	ca        bool
	usage     x509.KeyUsage
	notAfter  time.Time
	notBefore time.Time
}

func rightLeaf() wishes {
	now := time.Now()
	return wishes{
		uris:      []string{"spiffe://example.org/made/by/go"},
		usage:     x509.KeyUsageDigitalSignature,
		notBefore: now.Add(-time.Hour),
		notAfter:  now.Add(time.Hour),
	}
}

func makeCertificate(by *authority, kind string, wanted wishes) (*authority, error) {
	key, err := makeKey(kind)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Country: []string{"US"}, Organization: []string{"Go"}},
		NotBefore:             wanted.notBefore,
		NotAfter:              wanted.notAfter,
		KeyUsage:              wanted.usage,
		BasicConstraintsValid: true,
		IsCA:                  wanted.ca,
	}
	if !wanted.ca {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	for _, text := range wanted.uris {
		uri, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		template.URIs = append(template.URIs, uri)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{certificate, key}, err
}

func makeAuthority(by *authority, kind string) (*authority, error) {
	wanted := rightLeaf()
	wanted.uris, wanted.ca, wanted.usage = []string{"spiffe://example.org"}, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	return makeCertificate(by, kind, wanted)
}

type issueAnswer struct {
	// PEM of an authority that may sign others, and of its key.
	Root    string `json:"root"`
	RootKey string `json:"root_key"`
	// A SPIFFE bundle document.
	Bundle string `json:"bundle"`
	// By name: base64 of DER, leaf first.
	Chains map[string][]string `json:"chains"`
	// By name: JWT-SVIDs for https://api.example.org.
	Tokens map[string]string `json:"tokens"`
}

// issue makes SVIDs of an authority of Go's, right ones and wrong ones.
func issue(args []string) (any, error) {
	if err := want(args, 0); err != nil {
		return nil, err
	}
	answer := issueAnswer{Chains: map[string][]string{}, Tokens: map[string]string{}}
	bundle := spiffebundle.New(trustDomain)
	bundle.SetSequenceNumber(7)
	bundle.SetRefreshHint(5 * time.Minute)
	root, err := makeAuthority(nil, "P-384")
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(root.key)
	if err != nil {
		return nil, err
	}
	answer.Root, answer.RootKey = encode("CERTIFICATE", root.certificate.Raw), encode("PRIVATE KEY", pkcs8)
	if err := issueX509(bundle, answer.Chains); err != nil {
		return nil, err
	}
	if err := issueJwt(bundle, answer.Tokens); err != nil {
		return nil, err
	}
	document, err := bundle.Marshal()
	answer.Bundle = string(document)
	return answer, err
}

func issueX509(bundle *spiffebundle.Bundle, chains map[string][]string) error {
	roots := map[string]*authority{}
	for _, kind := range []string{"P-256", "P-384", "RSA-2048"} {
		root, err := makeAuthority(nil, kind)
		if err != nil {
			return err
		}
		roots[kind] = root
		bundle.AddX509Authority(root.certificate)
	}
	stranger, err := makeAuthority(nil, "P-256")
	if err != nil {
		return err
	}
	intermediate, err := makeAuthority(roots["P-256"], "P-384")
	if err != nil {
		return err
	}
	changed := func(change func(*wishes)) wishes {
		wanted := rightLeaf()
		change(&wanted)
		return wanted
	}
	for name, leaf := range map[string]struct {
		by     *authority
		kind   string
		wanted wishes
	}{
		"P-256":        {roots["P-256"], "P-256", rightLeaf()},
		"P-384":        {roots["P-384"], "P-384", rightLeaf()},
		"RSA-2048":     {roots["RSA-2048"], "RSA-2048", rightLeaf()},
		"intermediate": {intermediate, "P-256", rightLeaf()},
		"stranger":     {stranger, "P-256", rightLeaf()},
		"two URIs": {roots["P-256"], "P-256", changed(func(w *wishes) {
			w.uris = []string{"spiffe://example.org/a", "spiffe://example.org/b"}
		})},
		"no URI":         {roots["P-256"], "P-256", changed(func(w *wishes) { w.uris = nil })},
		"no path":        {roots["P-256"], "P-256", changed(func(w *wishes) { w.uris = []string{"spiffe://example.org"} })},
		"another scheme": {roots["P-256"], "P-256", changed(func(w *wishes) { w.uris = []string{"https://example.org/a"} })},
		"another domain": {roots["P-256"], "P-256", changed(func(w *wishes) { w.uris = []string{"spiffe://other.org/a"} })},
		"authority": {roots["P-256"], "P-256", changed(func(w *wishes) {
			w.ca, w.usage = true, x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign
		})},
		"signs certificates": {roots["P-256"], "P-256", changed(func(w *wishes) {
			w.usage = x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign
		})},
		"signs nothing": {roots["P-256"], "P-256", changed(func(w *wishes) { w.usage = x509.KeyUsageKeyAgreement })},
		"expired":       {roots["P-256"], "P-256", changed(func(w *wishes) { w.notAfter = time.Now().Add(-10 * time.Minute) })},
		"future":        {roots["P-256"], "P-256", changed(func(w *wishes) { w.notBefore = time.Now().Add(10 * time.Minute) })},
	} {
		made, err := makeCertificate(leaf.by, leaf.kind, leaf.wanted)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		chains[name] = []string{base64.StdEncoding.EncodeToString(made.certificate.Raw)}
		if leaf.by == intermediate {
			chains[name] = append(chains[name], base64.StdEncoding.EncodeToString(intermediate.certificate.Raw))
		}
	}
	return nil
}

func issueJwt(bundle *spiffebundle.Bundle, tokens map[string]string) error {
	keys := map[string]crypto.Signer{}
	for _, kind := range []string{"P-256", "P-384", "P-521", "RSA-2048"} {
		key, err := makeKey(kind)
		if err != nil {
			return err
		}
		keys[kind] = key
		if err := bundle.AddJWTAuthority(kind, key.Public()); err != nil {
			return err
		}
	}
	stranger, err := makeKey("P-256")
	if err != nil {
		return err
	}
	now := time.Now()
	right := jwt.Claims{
		Subject:  "spiffe://example.org/made/by/go",
		Audience: jwt.Audience{"https://api.example.org"},
		Expiry:   jwt.NewNumericDate(now.Add(time.Hour)),
		IssuedAt: jwt.NewNumericDate(now),
	}
	changed := func(change func(*jwt.Claims)) jwt.Claims {
		claims := right
		change(&claims)
		return claims
	}
	for name, token := range map[string]struct {
		algorithm jose.SignatureAlgorithm
		key       any
		kid       string
		typ       string
		claims    jwt.Claims
	}{
		"ES256":    {jose.ES256, keys["P-256"], "P-256", "JWT", right},
		"ES384":    {jose.ES384, keys["P-384"], "P-384", "JOSE", right},
		"ES512":    {jose.ES512, keys["P-521"], "P-521", "JWT", right},
		"RS256":    {jose.RS256, keys["RSA-2048"], "RSA-2048", "JWT", right},
		"RS384":    {jose.RS384, keys["RSA-2048"], "RSA-2048", "JWT", right},
		"RS512":    {jose.RS512, keys["RSA-2048"], "RSA-2048", "JWT", right},
		"PS256":    {jose.PS256, keys["RSA-2048"], "RSA-2048", "JWT", right},
		"PS384":    {jose.PS384, keys["RSA-2048"], "RSA-2048", "JWT", right},
		"PS512":    {jose.PS512, keys["RSA-2048"], "RSA-2048", "JWT", right},
		"no typ":   {jose.ES256, keys["P-256"], "P-256", "", right},
		"no kid":   {jose.ES256, keys["P-256"], "", "JWT", right},
		"stranger": {jose.ES256, stranger, "P-256", "JWT", right},
		"HS256":    {jose.HS256, []byte("0123456789abcdef0123456789abcdef"), "P-256", "JWT", right},
		"at+jwt":   {jose.ES256, keys["P-256"], "P-256", "at+jwt", right},
		"another audience": {jose.ES256, keys["P-256"], "P-256", "JWT", changed(func(c *jwt.Claims) {
			c.Audience = jwt.Audience{"https://other.example.org"}
		})},
		"no audience": {jose.ES256, keys["P-256"], "P-256", "JWT", changed(func(c *jwt.Claims) { c.Audience = nil })},
		"expired": {jose.ES256, keys["P-256"], "P-256", "JWT", changed(func(c *jwt.Claims) {
			c.Expiry = jwt.NewNumericDate(now.Add(-10 * time.Minute))
		})},
		"no expiry": {jose.ES256, keys["P-256"], "P-256", "JWT", changed(func(c *jwt.Claims) { c.Expiry = nil })},
		"future": {jose.ES256, keys["P-256"], "P-256", "JWT", changed(func(c *jwt.Claims) {
			c.NotBefore = jwt.NewNumericDate(now.Add(10 * time.Minute))
		})},
		"no SPIFFE ID": {jose.ES256, keys["P-256"], "P-256", "JWT", changed(func(c *jwt.Claims) { c.Subject = "somebody" })},
		"another domain": {jose.ES256, keys["P-256"], "P-256", "JWT", changed(func(c *jwt.Claims) {
			c.Subject = "spiffe://other.org/a"
		})},
	} {
		text, err := signToken(token.algorithm, token.key, token.kid, token.typ, token.claims)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		tokens[name] = text
	}
	return nil
}

func signToken(algorithm jose.SignatureAlgorithm, key any, kid, typ string, claims jwt.Claims) (string, error) {
	options := &jose.SignerOptions{}
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	if kid != "" {
		options = options.WithHeader(jose.HeaderKey("kid"), kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}
