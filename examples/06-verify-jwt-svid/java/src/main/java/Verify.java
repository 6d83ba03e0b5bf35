import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.DefaultResourceRetriever;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.text.ParseException;
import java.util.Set;

/**
 * Reads tokens, one a line, and says of each whose it is, or why it is refused. With Nimbus JOSE + JWT.
 *
 * <p>ISSUER, AUDIENCE, TRUST_DOMAIN: whose tokens, made for whom, about workloads of which trust domain.
 * -Djavax.net.ssl.trustStore: what vouches for the issuer's certificate, where no public authority does.
 */
public final class Verify {
  private static final String ISSUER = System.getenv("ISSUER");
  private static final String AUDIENCE = System.getenv("AUDIENCE");
  private static final String TRUST_DOMAIN = System.getenv("TRUST_DOMAIN");

  public static void main(String[] arguments) throws Exception {
    // Once, when the service starts: discovery says where the keys are.
    var http = new DefaultResourceRetriever(5_000, 5_000, 256 * 1024);
    var discovered = http.retrieveResource(URI.create(ISSUER + "/.well-known/openid-configuration").toURL());
    var discovery = JSONObjectUtils.parse(discovered.getContent());
    if (!ISSUER.equals(discovery.get("issuer"))) {
      throw new IllegalStateException("the discovery document is of another issuer");
    }
    var jwksUri = URI.create((String) discovery.get("jwks_uri")).toURL();

    // Kept for 5 minutes. A new `kid` has them read again, twice in 30 seconds at most.
    var keys = JWKSourceBuilder.<SecurityContext>create(jwksUri, http).build();
    var tokens = new DefaultJWTProcessor<SecurityContext>();
    var algorithms = Set.of(JWSAlgorithm.ES256, JWSAlgorithm.RS256);
    tokens.setJWSKeySelector(new JWSVerificationKeySelector<>(algorithms, keys));
    var wanted = new JWTClaimsSet.Builder().issuer(ISSUER).build();
    var claimsVerifier = new DefaultJWTClaimsVerifier<>(AUDIENCE, wanted, Set.of("sub", "exp"));
    claimsVerifier.setMaxClockSkew(0);
    tokens.setJWTClaimsSetVerifier(claimsVerifier);

    var lines = new BufferedReader(new InputStreamReader(System.in));
    for (var line = lines.readLine(); line != null; line = lines.readLine()) {
      try {
        var claims = tokens.process(line, null);
        if (!claims.getSubject().startsWith("spiffe://" + TRUST_DOMAIN + "/")) {
          throw new BadJOSEException("no workload of this trust domain");
        }
        System.out.println("accepted " + JSONObjectUtils.toJSONString(claims.toJSONObject()));
      } catch (ParseException | BadJOSEException | JOSEException error) {
        System.out.println("refused " + error.getMessage());
      }
    }
  }
}
