// mtls-backend in Go, with go-spiffe: the same service as ../mtls-backend.ts, for an SVID in files.
//
// SVID_DIR holds svid.pem (leaf first), svid.key and bundle.pem. Whoever keeps them fresh replaces them; they are read
// again here when they change, and open connections live on. "apostille svid x509 --out DIR" writes such a folder.
//
// ALLOWED_CALLER is the SPIFFE ID that may ask. PORT is any free one by default.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

var balances = map[string]int{"DE-1001": 1250, "DE-1002": 80}

func main() {
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	allowedCaller, err := spiffeid.FromString(os.Getenv("ALLOWED_CALLER"))
	if err != nil {
		return fmt.Errorf("ALLOWED_CALLER: %w", err)
	}
	source, err := newFileSource(os.Getenv("SVID_DIR"))
	if err != nil {
		return err
	}
	go source.watch(ctx)

	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "0"))
	if err != nil {
		return err
	}
	log.Printf("I am %s, certificate %s", source.current.Load().svid.ID, source.serialNumber())
	log.Printf("listening on https://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	return serve(ctx, listener, source, allowedCaller)
}

// serve lets members of our trust domain in; whose certificate it is decides what is answered.
func serve(ctx context.Context, listener net.Listener, source *fileSource, allowedCaller spiffeid.ID) error {
	trustDomain := source.current.Load().svid.ID.TrustDomain()
	config := tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeMemberOf(trustDomain))
	// A resumed session would skip the check of the certificate, so that an old one could outlive its time.
	config.SessionTicketsDisabled = true
	server := &http.Server{
		Handler:           handler(allowedCaller),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          log.New(os.Stdout, "", 0),
	}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(tls.NewListener(listener, config)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func handler(allowedCaller spiffeid.ID) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := callerOf(r)
		if err != nil || caller != allowedCaller {
			log.Printf("refused %s", caller)
			respond(w, http.StatusForbidden, map[string]any{"error": "this caller may not see balances", "caller": caller.String()})
			return
		}
		if r.URL.Path == "/ticks" {
			tick(w, r)
			return
		}
		balance, found := balances[strings.TrimPrefix(r.URL.Path, "/balances/")]
		if !found {
			respond(w, http.StatusNotFound, map[string]any{})
			return
		}
		respond(w, http.StatusOK, map[string]any{"balance": balance})
	})
}

// callerOf reads whose certificate it is. The handshake has verified it; a connection may outlive its time.
func callerOf(r *http.Request) (spiffeid.ID, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return spiffeid.ID{}, errors.New("no certificate")
	}
	leaf := r.TLS.PeerCertificates[0]
	if time.Now().After(leaf.NotAfter) {
		return spiffeid.ID{}, errors.New("the certificate has expired")
	}
	return x509svid.IDFromCert(leaf)
}

func respond(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// tick is an answer that does not end, to see whether its connection lives on when certificates change.
func tick(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
			_, _ = fmt.Fprintln(w, "tick")
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// identity is what the folder held at one time.
type identity struct {
	svid   *x509svid.SVID
	bundle *x509bundle.Bundle
}

// fileSource gives TLS the SVID and the bundle of a folder.
type fileSource struct {
	dir     string
	current atomic.Pointer[identity]
}

func newFileSource(dir string) (*fileSource, error) {
	source := &fileSource{dir: dir}
	held, err := source.load()
	if err != nil {
		return nil, err
	}
	source.current.Store(held)
	return source, nil
}

// load fails when key and certificate do not fit, which may be so for the moment between two replaced files.
func (s *fileSource) load() (*identity, error) {
	svid, err := x509svid.Load(filepath.Join(s.dir, "svid.pem"), filepath.Join(s.dir, "svid.key"))
	if err != nil {
		return nil, err
	}
	bundle, err := x509bundle.Load(svid.ID.TrustDomain(), filepath.Join(s.dir, "bundle.pem"))
	if err != nil {
		return nil, err
	}
	return &identity{svid, bundle}, nil
}

func (s *fileSource) watch(ctx context.Context) {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.refresh()
		}
	}
}

func (s *fileSource) refresh() {
	held, err := s.load()
	if err != nil {
		return
	}
	before := s.serialNumber()
	s.current.Store(held)
	if after := s.serialNumber(); after != before {
		log.Printf("renewed: certificate %s is in service", after)
	}
}

func (s *fileSource) serialNumber() string {
	return fmt.Sprintf("%x", s.current.Load().svid.Certificates[0].SerialNumber)[:8]
}

func (s *fileSource) GetX509SVID() (*x509svid.SVID, error) {
	return s.current.Load().svid, nil
}

func (s *fileSource) GetX509BundleForTrustDomain(trustDomain spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	return s.current.Load().bundle.GetX509BundleForTrustDomain(trustDomain)
}
