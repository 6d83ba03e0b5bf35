package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

var trustDomain = spiffeid.RequireTrustDomainFromString("example.org")

type svidAnswer struct {
	Id        string `json:"id"`
	Raw       string `json:"raw"`
	Verified  string `json:"verified"`
	PathSizes []int  `json:"path_sizes"`
}

// readSvid loads an SVID from files, takes it through its Workload API form, and verifies it as a peer's.
func readSvid(args []string) (any, error) {
	if err := want(args, 3); err != nil {
		return nil, err
	}
	bundle, err := x509bundle.Load(trustDomain, args[2])
	if err != nil {
		return nil, err
	}
	svid, err := x509svid.Load(args[0], args[1])
	if err != nil {
		return nil, refusal{err}
	}
	certificates, key, err := svid.MarshalRaw()
	if err != nil {
		return nil, refusal{err}
	}
	again, err := x509svid.ParseRaw(certificates, key)
	if err != nil {
		return nil, refusal{err}
	}
	verified, paths, err := x509svid.Verify(svid.Certificates, bundle)
	if err != nil {
		return nil, refusal{err}
	}
	answer := svidAnswer{Id: svid.ID.String(), Raw: again.ID.String(), Verified: verified.String()}
	for _, path := range paths {
		answer.PathSizes = append(answer.PathSizes, len(path))
	}
	return answer, nil
}

// fetchBundle asks a bundle endpoint. With https_spiffe the authorities in the file are those of the trust domain, and the endpoint must
// be the gateway itself.
func fetchBundle(url, caFile, profile string) (*spiffebundle.Bundle, error) {
	authorities, err := x509bundle.Load(trustDomain, caFile)
	if err != nil {
		return nil, err
	}
	options := map[string]federation.FetchOption{
		"https_web":    federation.WithWebPKIRoots(poolOf(authorities)),
		"https_spiffe": federation.WithSPIFFEAuth(authorities, spiffeid.RequireFromString("spiffe://example.org/apostille/server")),
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	bundle, err := federation.FetchBundle(ctx, trustDomain, url, options[profile])
	if err != nil {
		return nil, refusal{err}
	}
	return bundle, nil
}

func poolOf(bundle *x509bundle.Bundle) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, authority := range bundle.X509Authorities() {
		pool.AddCert(authority)
	}
	return pool
}

type bundleAnswer struct {
	X509Authorities []string `json:"x509_authorities"`
	JwtKeyIds       []string `json:"jwt_key_ids"`
	Sequence        uint64   `json:"sequence"`
	RefreshHint     float64  `json:"refresh_hint"`
}

func readBundle(args []string) (any, error) {
	if err := want(args, 3); err != nil {
		return nil, err
	}
	bundle, err := fetchBundle(args[0], args[1], args[2])
	if err != nil {
		return nil, err
	}
	answer := bundleAnswer{X509Authorities: []string{}, JwtKeyIds: []string{}}
	for _, authority := range bundle.X509Authorities() {
		id, err := x509svid.IDFromCert(authority)
		if err != nil {
			return nil, refusal{err}
		}
		answer.X509Authorities = append(answer.X509Authorities, id.String())
	}
	for kid := range bundle.JWTAuthorities() {
		answer.JwtKeyIds = append(answer.JwtKeyIds, kid)
	}
	answer.Sequence, _ = bundle.SequenceNumber()
	hint, _ := bundle.RefreshHint()
	answer.RefreshHint = hint.Seconds()
	return answer, nil
}

type jwtAnswer struct {
	Id       string         `json:"id"`
	Audience []string       `json:"audience"`
	Expiry   time.Time      `json:"expiry"`
	Claims   map[string]any `json:"claims"`
}

func readJwt(args []string) (any, error) {
	if err := want(args, 3); err != nil {
		return nil, err
	}
	bundle, err := fetchBundle(args[0], args[1], "https_web")
	if err != nil {
		return nil, fmt.Errorf("no bundle: %v", err)
	}
	token, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, err
	}
	svid, err := jwtsvid.ParseAndValidate(strings.TrimSpace(string(token)), bundle, []string{args[2]})
	if err != nil {
		return nil, refusal{err}
	}
	return jwtAnswer{svid.ID.String(), svid.Audience, svid.Expiry, svid.Claims}, nil
}
