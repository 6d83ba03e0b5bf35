package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

type parties struct {
	svid   *x509svid.SVID
	bundle *x509bundle.Bundle
	peer   tlsconfig.Authorizer
}

// loadParties takes the peer's authorities from the bundle file, which may be those of another trust domain.
func loadParties(certFile, keyFile, bundleFile, peer string) (parties, error) {
	svid, err := x509svid.Load(certFile, keyFile)
	if err != nil {
		return parties{}, err
	}
	id, err := spiffeid.FromString(peer)
	if err != nil {
		return parties{}, err
	}
	bundle, err := loadAuthorities(id.TrustDomain(), bundleFile)
	if err != nil {
		return parties{}, err
	}
	return parties{svid, bundle, tlsconfig.AuthorizeID(id)}, nil
}

// loadAuthorities reads PEM, or a SPIFFE bundle document from a file whose name ends so.
func loadAuthorities(of spiffeid.TrustDomain, file string) (*x509bundle.Bundle, error) {
	if filepath.Ext(file) != ".json" {
		return x509bundle.Load(of, file)
	}
	bundle, err := spiffebundle.Load(of, file)
	if err != nil {
		return nil, err
	}
	return bundle.X509Bundle(), nil
}

// serve answers each connection with a line: the peer's ID, or "-" for a peer that was refused.
func serve(args []string) (any, error) {
	if err := want(args, 4); err != nil {
		return nil, err
	}
	with, err := loadParties(args[0], args[1], args[2], args[3])
	if err != nil {
		return nil, err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", tlsconfig.MTLSServerConfig(with.svid, with.bundle, with.peer))
	if err != nil {
		return nil, err
	}
	fmt.Printf("listening on %d\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		go greet(connection.(*tls.Conn))
	}
}

func greet(connection *tls.Conn) {
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(20 * time.Second))
	if err := connection.Handshake(); err != nil {
		fmt.Printf("refused %v\n", err)
		return
	}
	id, err := x509svid.IDFromCert(connection.ConnectionState().PeerCertificates[0])
	fmt.Printf("accepted %v %v\n", id, err)
	fmt.Fprintf(connection, "%s\n", id)
}

type dialAnswer struct {
	Peer string `json:"peer"`
	Line string `json:"line"`
}

// dial reads the line that a server writes once it has accepted the client: with TLS 1.3 the handshake alone says nothing of that.
func dial(args []string) (any, error) {
	if err := want(args, 5); err != nil {
		return nil, err
	}
	with, err := loadParties(args[1], args[2], args[3], args[4])
	if err != nil {
		return nil, err
	}
	connection, err := tls.Dial("tcp", args[0], tlsconfig.MTLSClientConfig(with.svid, with.bundle, with.peer))
	if err != nil {
		return nil, refusal{err}
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(20 * time.Second))
	id, err := x509svid.IDFromCert(connection.ConnectionState().PeerCertificates[0])
	if err != nil {
		return nil, refusal{err}
	}
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return nil, refusal{err}
	}
	return dialAnswer{id.String(), line}, nil
}
