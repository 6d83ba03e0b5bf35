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
	"os"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

func main() {
	ctx := context.Background()
	// Once, when the service starts: finds the keys by discovery, and keeps them. A new `kid` has them read again.
	provider, err := oidc.NewProvider(ctx, os.Getenv("ISSUER"))
	if err != nil {
		log.Fatal(err)
	}
	verifier := provider.Verifier(&oidc.Config{
		ClientID:             os.Getenv("AUDIENCE"),
		SupportedSigningAlgs: []string{oidc.ES256, oidc.RS256},
	})

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		claims, err := verify(ctx, verifier, lines.Text())
		if err != nil {
			fmt.Println("refused", err)
			continue
		}
		fmt.Printf("accepted %s\n", claims)
	}
}

// verify returns the claims as JSON. The verifier checks the signature, iss, aud and exp.
func verify(ctx context.Context, verifier *oidc.IDTokenVerifier, token string) (json.RawMessage, error) {
	verified, err := verifier.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(verified.Subject, "spiffe://"+os.Getenv("TRUST_DOMAIN")+"/") {
		return nil, errors.New("no workload of this trust domain")
	}
	var claims json.RawMessage
	return claims, verified.Claims(&claims)
}
