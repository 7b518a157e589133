// Package node is the side of a VPN node, in Go: its own VPN JWT, and the people whose VPN JWTs it takes.
package node

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Settings are a node's, from its environment.
type Settings struct {
	ClientID, ClientSecret        string
	TokenURL, VPNAuthURL, JWKSURL string
	Scope, Issuer, Audience       string
}

// ReadSettings reads them under the names that nodes have, such as from os.Getenv; the error names every fault.
func ReadSettings(getenv func(string) string) (Settings, error) {
	var faults []error
	for _, name := range []string{"PORTBRO_CLIENT_ID", "PORTBRO_CLIENT_SECRET", "PARENT_ISSUER"} {
		if getenv(name) == "" {
			faults = append(faults, fmt.Errorf("%s is not set: the node needs it", name))
		}
	}
	if len(faults) > 0 {
		return Settings{}, errors.Join(faults...)
	}
	issuer := getenv("PARENT_ISSUER")
	address := func(name, path string) string {
		address, err := secureURL(issuer, or(getenv(name), path))
		if err != nil {
			faults = append(faults, fmt.Errorf("%s is no address that can be trusted: use https, or http on loopback", name))
		}
		return address
	}
	address("PARENT_ISSUER", issuer)
	settings := Settings{
		ClientID:     getenv("PORTBRO_CLIENT_ID"),
		ClientSecret: getenv("PORTBRO_CLIENT_SECRET"),
		// Where they lie at a Portcullis server.
		TokenURL:   address("PORTBRO_TOKEN_URL", "/token"),
		VPNAuthURL: address("PORTBRO_VPN_AUTH_URL", "/vpn/auth"),
		JWKSURL:    address("PARENT_JWKS_URL", "/jwks"),
		Scope:      or(getenv("PORTBRO_SCOPE"), "read"),
		Issuer:     issuer,
		Audience:   or(getenv("PARENT_AUDIENCE"), "vpn-node"),
	}
	return settings, errors.Join(faults...)
}

// What comes in the clear can be anybody's; loopback is this machine.
func secureURL(base, reference string) (string, error) {
	from, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	address, err := from.Parse(reference)
	if err != nil {
		return "", err
	}
	host := address.Hostname()
	isLoopback := host == "localhost" || net.ParseIP(host).IsLoopback()
	if host == "" || address.Scheme != "https" && (address.Scheme != "http" || !isLoopback) {
		return "", errors.New("not secure")
	}
	return address.String(), nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// No question is sent on to another address, and none waits for ever: it may hold a secret.
func newHTTPClient() *http.Client {
	return &http.Client{
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
