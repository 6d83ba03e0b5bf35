// Reads tokens, one a line, and says of each whose it is, or why it is refused. With go-oidc.
//
//	ISSUER, AUDIENCE, TRUST_DOMAIN: whose tokens, made for whom, about workloads of which trust domain
//	SSL_CERT_FILE: PEM that vouches for the issuer's certificate, where no public authority does
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	maxAge   = 5 * time.Minute
	coolDown = 30 * time.Second
)

var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256}

// keys are those of an issuer: kept for maxAge. A new kid has them read again, once in coolDown. (oidc.RemoteKeySet keeps
// them until a token does not verify, so a key that was revoked as well, and reads them again for each such token.)
type keys struct {
	jwksURI string
	http    http.Client
	mutex   sync.Mutex
	set     jose.JSONWebKeySet
	read    time.Time
}

// VerifySignature makes it an oidc.KeySet.
func (k *keys) VerifySignature(_ context.Context, token string) ([]byte, error) {
	parsed, err := jose.ParseSigned(token, algorithms)
	if err != nil {
		return nil, err
	}
	key, err := k.find(parsed.Signatures[0].Header.KeyID)
	if err != nil {
		return nil, err
	}
	return parsed.Verify(key)
}

func (k *keys) find(kid string) (*jose.JSONWebKey, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	age := time.Since(k.read)
	if age > maxAge || (age > coolDown && len(k.set.Key(kid)) == 0) {
		k.read = time.Now() // also where it fails
		// While the issuer is away, the keys that are there serve.
		if err := k.fetch(); err != nil && len(k.set.Key(kid)) == 0 {
			return nil, err
		}
	}
	if found := k.set.Key(kid); kid != "" && len(found) == 1 {
		return &found[0], nil
	}
	return nil, errors.New("no key of this kid")
}

func (k *keys) fetch() error {
	answer, err := k.http.Get(k.jwksURI)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the keys of the issuer: %s", answer.Status)
	}
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
		return err
	}
	k.set = set
	return nil
}

// newVerifier is for the start of a service: discovery says where the keys are.
func newVerifier(issuer, audience string) (*oidc.IDTokenVerifier, error) {
	provider, err := oidc.NewProvider(context.Background(), issuer)
	if err != nil {
		return nil, err
	}
	var discovery struct {
		JwksURI string `json:"jwks_uri"`
	}
	if err := provider.Claims(&discovery); err != nil {
		return nil, err
	}
	found := &keys{jwksURI: discovery.JwksURI, http: http.Client{Timeout: 10 * time.Second}}
	config := &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{oidc.ES256, oidc.RS256}}
	return oidc.NewVerifier(issuer, found, config), nil
}

// verify returns the claims as JSON. The verifier checks the signature, iss, aud and exp.
func verify(verifier *oidc.IDTokenVerifier, token, trustDomain string) (json.RawMessage, error) {
	verified, err := verifier.Verify(context.Background(), token)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(verified.Subject, "spiffe://"+trustDomain+"/") {
		return nil, errors.New("no workload of this trust domain")
	}
	var claims json.RawMessage
	err = verified.Claims(&claims)
	return claims, err
}

func main() {
	verifier, err := newVerifier(os.Getenv("ISSUER"), os.Getenv("AUDIENCE"))
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		claims, err := verify(verifier, lines.Text(), os.Getenv("TRUST_DOMAIN"))
		if err != nil {
			fmt.Println("refused", err)
			continue
		}
		fmt.Printf("accepted %s\n", claims)
	}
}
