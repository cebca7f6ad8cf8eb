import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.postgresql.Driver;
import org.postgresql.PGProperty;
import org.postgresql.util.PSQLException;

/**
 * pgjdbc, any version from 42.2.6: javac -cp JAR -d DIR Client.java, java -cp DIR:JAR Client. Compiled once, it runs with an older and a
 * newer driver and asks at run time which properties there are. The key of a client certificate must be PKCS#8 ("BEGIN PRIVATE KEY").
 */
public class Client {
    private static final int LIMIT_SECONDS = 60;

    public static void main(String[] arguments) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        out.printf("{\"driver\": \"pgjdbc\", \"version\": %s, \"detail\": %s}%n",
                quoted(Driver.class.getPackage().getImplementationVersion()), quoted("java " + Runtime.version()));
        for (String line; (line = in.readLine()) != null;) {
            out.println(report(new Login(line)));
        }
        System.exit(0);
    }

    private static String report(Login wanted) throws InterruptedException {
        String sqlstate = null, error = null;
        try {
            String answer = within(LIMIT_SECONDS, new FutureTask<>(() -> answer(wanted)));
            if (!answer.equals(wanted.get("user") + ":42")) {
                error = "unexpected answer: " + answer;
            }
        } catch (TimeoutException late) {
            error = "timeout";
        } catch (ExecutionException failed) {
            error = texts(failed.getCause());
            // The driver also makes up SQLSTATEs of its own.
            if (failed.getCause() instanceof PSQLException psql && psql.getServerErrorMessage() != null) {
                sqlstate = psql.getSQLState();
            }
        }
        return "{\"id\": %s, \"ok\": %s, \"sqlstate\": %s, \"error\": %s}"
                .formatted(wanted.token("id"), error == null, quoted(sqlstate), quoted(error));
    }

    private static String within(int seconds, FutureTask<String> task)
            throws InterruptedException, ExecutionException, TimeoutException {
        new Thread(task).start();
        return task.get(seconds, TimeUnit.SECONDS);
    }

    private static String answer(Login wanted) throws SQLException, IOException {
        // The driver reads the files of a client certificate when it connects.
        Path key = wanted.get("sslkey") == null ? null : derKey(Path.of(wanted.get("sslkey")));
        try (Connection connection = DriverManager.getConnection(url(wanted), properties(wanted, key));
                PreparedStatement query = connection.prepareStatement("SELECT current_user || ':' || ?")) {
            query.setString(1, "42");
            try (ResultSet rows = query.executeQuery()) {
                rows.next();
                return rows.getString(1);
            }
        } finally {
            if (key != null) {
                Files.delete(key);
            }
        }
    }

    private static String url(Login wanted) {
        String host = wanted.get("host");
        String inUrl = host.contains(":") ? "[" + host + "]" : host;
        return "jdbc:postgresql://%s:%s/%s".formatted(inUrl, wanted.get("port"), wanted.get("dbname"));
    }

    private static Properties properties(Login wanted, Path key) throws SQLException {
        var properties = new Properties();
        properties.put("user", wanted.get("user"));
        properties.put("sslmode", wanted.get("sslmode"));
        properties.put("gssEncMode", "disable");
        properties.put("connectTimeout", "" + LIMIT_SECONDS); // these two end what was given up
        properties.put("socketTimeout", "" + LIMIT_SECONDS);
        putIfGiven(properties, "password", wanted.get("password"));
        putIfGiven(properties, "sslcert", wanted.get("sslcert"));
        putIfGiven(properties, "sslkey", key == null ? null : key.toString());
        putIfGiven(properties, "sslrootcert", wanted.get("sslrootcert"));
        if ("direct".equals(wanted.get("sslnegotiation"))) {
            demand("sslNegotiation");
            properties.put("sslNegotiation", "direct");
        }
        if ("require".equals(wanted.get("channel_binding"))) {
            demand("channelBinding");
        }
        putIfGiven(properties, "channelBinding", wanted.get("channel_binding"));
        return properties;
    }

    private static void putIfGiven(Properties properties, String name, String value) {
        if (value != null) {
            properties.put(name, value);
        }
    }

    /** The driver ignores properties that it does not know. */
    private static void demand(String property) throws SQLException {
        if (PGProperty.forName(property) == null) {
            throw new SQLException("not supported by the driver");
        }
    }

    /** The driver reads no PEM; a name that ends in .pk8 means PKCS#8 in DER. The file is readable by its owner alone. */
    private static Path derKey(Path pem) throws IOException {
        String base64 = Files.readString(pem).replaceAll("-----[A-Z ]+-----", "");
        return Files.write(Files.createTempFile("key", ".pk8"), Base64.getMimeDecoder().decode(base64));
    }

    /** The driver's text and those of its causes: "SSL error: ..." alone may say little. */
    private static String texts(Throwable failure) {
        List<String> texts = new ArrayList<>();
        for (; failure != null; failure = failure.getCause()) {
            texts.add(failure.getMessage() == null ? failure.toString() : failure.getMessage());
        }
        return texts.stream().distinct().collect(Collectors.joining(": "));
    }

    // --- as much JSON as the contract needs: the JDK has none, and a login is flat

    private record Login(String json) {
        String token(String field) {
            Matcher found = Pattern.compile("\"" + field + "\"\\s*:\\s*(\"(?:[^\"\\\\]|\\\\.)*\"|[^\\s,}]+)").matcher(json);
            return found.find() ? found.group(1) : "null";
        }

        String get(String field) {
            String token = token(field);
            return token.equals("null") ? null : token.startsWith("\"") ? unescaped(token.substring(1, token.length() - 1)) : token;
        }
    }

    private static final Pattern ESCAPE = Pattern.compile("\\\\(?:u(\\p{XDigit}{4})|(.))");

    private static String unescaped(String text) {
        return ESCAPE.matcher(text).replaceAll(escape -> Matcher.quoteReplacement(
                escape.group(1) != null ? "" + (char) Integer.parseInt(escape.group(1), 16) : switch (escape.group(2)) {
                    case "n" -> "\n";
                    case "t" -> "\t";
                    case "r" -> "\r";
                    case "b" -> "\b";
                    case "f" -> "\f";
                    default -> escape.group(2);
                }));
    }

    private static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        return '"' + text.chars()
                .mapToObj(c -> c == '"' || c == '\\' ? "\\" + (char) c : c < ' ' ? "\\u%04x".formatted(c) : "" + (char) c)
                .collect(Collectors.joining()) + '"';
    }
}
