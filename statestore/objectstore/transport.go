package objectstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	// stallTimeout is how long a connection may carry nothing while a request is under way.
	stallTimeout = 30 * time.Second
	// maxConnections bounds the connections that are kept between requests.
	maxConnections = 64
)

// newTransport returns how requests are sent. caBundle is the file of the authorities' certificates, empty for the
// system's.
func newTransport(caBundle string) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caBundle != "" {
		pem, err := os.ReadFile(caBundle)
		if err != nil {
			return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("AWS_CA_BUNDLE: %s holds no certificate in PEM form", caBundle)
		}
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return stallingConn{conn}, nil
		},
		TLSClientConfig: config, TLSHandshakeTimeout: dialTimeout,
		MaxIdleConns: maxConnections, MaxIdleConnsPerHost: maxConnections, IdleConnTimeout: stallTimeout / 2,
		DisableCompression: true, // the content is what it is
	}, nil
}

// stallingConn breaks when nothing has been carried for stallTimeout, in either direction: an answer is waited for while a
// large object is still being sent.
type stallingConn struct{ net.Conn }

func (c stallingConn) Read(b []byte) (int, error) {
	if err := c.extend(); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c stallingConn) Write(b []byte) (int, error) {
	if err := c.extend(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c stallingConn) extend() error { return c.SetDeadline(time.Now().Add(stallTimeout)) }
