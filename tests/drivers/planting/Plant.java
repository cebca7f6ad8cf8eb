// pgjdbc: the extended protocol for everything, a server-side statement with binary parameters after some runs, simple queries, COPY.

import java.io.StringReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import org.postgresql.PGConnection;

class Plant {
    static String word(String name) {
        return System.getenv("PLANT_" + name);
    }

    static void check(boolean holds, String what) {
        if (!holds) throw new IllegalStateException(what);
    }

    public static void main(String[] arguments) throws Exception {
        for (String mode : new String[] {"extended", "simple"}) plant(mode);
    }

    static void plant(String mode) throws Exception {
        Properties properties = new Properties();
        properties.put("user", System.getenv("PGUSER"));
        properties.put("password", System.getenv("PGPASSWORD"));
        properties.put("sslmode", "require");
        properties.put("preferQueryMode", mode);
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        try (Connection connection = DriverManager.getConnection(url, properties); Statement statement = connection.createStatement()) {
            statement.execute("SELECT length('" + word("LITERAL") + "')");
            try (PreparedStatement prepared = connection.prepareStatement("SELECT ?::text || '', ?::bigint + 0")) {
                for (int i = 0; i < 8; ++i) {
                    prepared.setString(1, word("BIND"));
                    prepared.setLong(2, Long.parseLong(word("NUMBER")));
                    try (ResultSet rows = prepared.executeQuery()) {
                        check(rows.next() && rows.getString(1).equals(word("BIND")), "a parameter came back as something else");
                    }
                }
            }
            String row = word("ROW");
            int half = row.length() / 2;
            try (ResultSet rows = statement.executeQuery("SELECT concat('" + row.substring(0, half) + "', '" + row.substring(half) + "')")) {
                check(rows.next() && rows.getString(1).equals(row), "a row came back as something else");
            }
            statement.execute("CREATE TEMP TABLE planted (word text)");
            check(connection.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY planted FROM STDIN", new StringReader(word("COPY") + "\n")) == 1,
                "COPY");
            try {
                statement.execute("ALTER ROLE nobody_at_all PASSWORD '" + word("ROLE") + "'");
                check(false, "the role exists");
            } catch (SQLException error) {
                check("42704".equals(error.getSQLState()), error.toString());
            }
        }
    }
}
