import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.copy.CopyManager;
import org.postgresql.core.BaseConnection;

/** JDBC: server-side prepared statements from the first execution (S_1, S_2 on every connection), batches, fetch size, COPY. */
public class DriverJdbc {
    static Connection open() throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", System.getenv("PGUSER"));
        p.setProperty("password", System.getenv("PGPASSWORD"));
        p.setProperty("prepareThreshold", "1");
        return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT")
            + "/" + System.getenv("PGDATABASE"), p);
    }

    static void check(boolean ok, String what) {
        if (!ok) {
            throw new AssertionError(what);
        }
    }

    static long one(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            r.next();
            return r.getLong(1);
        }
    }

    static void basics(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("DROP TABLE IF EXISTS drv_jdbc");
            s.execute("CREATE TABLE drv_jdbc (id int PRIMARY KEY, v text, d date, n numeric, b bytea, a int[])");
        }
        for (int i = 1; i <= 10; i++) {
            try (PreparedStatement p = c.prepareStatement("INSERT INTO drv_jdbc VALUES (?, ?, ?, ?, ?, ?)")) {
                p.setInt(1, i);
                p.setString(2, "gr\u00fc\u00df \u20ac " + i);
                p.setDate(3, Date.valueOf("2024-02-29"));
                p.setBigDecimal(4, new BigDecimal("12.50"));
                p.setBytes(5, new byte[] {0, (byte) 255});
                p.setArray(6, i % 2 == 0 ? null : c.createArrayOf("int4", new Integer[] {i, null}));
                check(p.executeUpdate() == 1, "insert");
            }
        }
        try (PreparedStatement p = c.prepareStatement("SELECT * FROM drv_jdbc WHERE id = ?")) {
            for (int i = 1; i <= 10; i++) {
                p.setInt(1, i);
                try (ResultSet r = p.executeQuery()) {
                    check(r.next() && r.getString(2).equals("gr\u00fc\u00df \u20ac " + i), "text");
                    check(r.getDate(3).equals(Date.valueOf("2024-02-29")), "date");
                    check(r.getBigDecimal(4).equals(new BigDecimal("12.50")), "numeric");
                    check(r.getBytes(5).length == 2 && r.getBytes(5)[1] == -1, "bytea");
                    Array a = r.getArray(6);
                    check(i % 2 == 0 ? a == null : ((Integer[]) a.getArray())[0] == i, "array");
                }
            }
        }
    }

    static void transactions(Connection c) throws SQLException {
        c.setAutoCommit(false);
        try (Statement s = c.createStatement()) {
            s.executeUpdate("DELETE FROM drv_jdbc");
            c.rollback();
            Savepoint sp = c.setSavepoint();
            try {
                s.executeUpdate("INSERT INTO drv_jdbc (id) VALUES (1)");
                throw new AssertionError("no unique violation");
            } catch (SQLException e) {
                check(e.getSQLState().equals("23505"), e.getSQLState());
            }
            c.rollback(sp);
            check(one(c, "SELECT count(*) FROM drv_jdbc") == 10, "count");
        }
        c.commit();
        try (PreparedStatement p = c.prepareStatement("INSERT INTO drv_jdbc (id, v) VALUES (?, ?)")) {
            for (int i = 100; i < 1100; i++) {
                p.setInt(1, i);
                p.setString(2, "batch");
                p.addBatch();
            }
            check(p.executeBatch().length == 1000, "batch");
            c.commit();
            for (int i : new int[] {2000, 100, 2001}) {
                p.setInt(1, i);
                p.setString(2, "lost");
                p.addBatch();
            }
            try {
                p.executeBatch();
                throw new AssertionError("no error of the batch");
            } catch (BatchUpdateException e) {
                check(e.getSQLState().equals("23505"), e.getSQLState());
            }
            c.rollback();
        }
        try (PreparedStatement p = c.prepareStatement("SELECT id FROM drv_jdbc WHERE id >= ? ORDER BY id")) {
            p.setFetchSize(50);     // a portal with a row limit, across several Syncs
            p.setInt(1, 100);
            int n = 0;
            try (ResultSet r = p.executeQuery()) {
                while (r.next()) {
                    check(r.getInt(1) == 100 + n++, "order");
                }
            }
            check(n == 1000, "rows by fetch size");
        }
        c.commit();
        c.setAutoCommit(true);
        c.setReadOnly(true);
        check(one(c, "SELECT count(*) FROM drv_jdbc") == 1010, "read only");
        c.setReadOnly(false);
        c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        check(one(c, "SELECT count(*) FROM drv_jdbc") == 1010, "serializable");
        c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
    }

    static void copy(Connection c) throws Exception {
        CopyManager m = new CopyManager((BaseConnection) c);
        StringBuilder in = new StringBuilder();
        for (int i = 3000; i < 4000; i++) {
            in.append(i).append("\tcopied\n");
        }
        check(m.copyIn("COPY drv_jdbc (id, v) FROM STDIN", new StringReader(in.toString())) == 1000, "copy in");
        StringWriter out = new StringWriter();
        check(m.copyOut("COPY (SELECT id FROM drv_jdbc WHERE id >= 3000) TO STDOUT", out) == 1000, "copy out");
    }

    static void timeout(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            s.execute("SELECT pg_sleep(30)");
            throw new AssertionError("no timeout");
        } catch (SQLException e) {
            check(e.getSQLState().equals("57014"), e.getSQLState());
        }
        check(one(c, "SELECT 5") == 5, "after the timeout");
    }

    static Void concurrent(int n) throws SQLException {
        try (Connection c = open();
             PreparedStatement p = c.prepareStatement("SELECT ?::int + " + n);
             PreparedStatement q = c.prepareStatement("SELECT ?::text || '" + n + "'")) {
            for (int i = 0; i < 60; i++) {
                p.setInt(1, i);
                q.setString(1, "x" + i);
                try (ResultSet r = p.executeQuery()) {
                    check(r.next() && r.getInt(1) == i + n, "concurrent int");
                }
                try (ResultSet r = q.executeQuery()) {
                    check(r.next() && r.getString(1).equals("x" + i + n), "concurrent text");
                }
            }
        }
        return null;
    }

    public static void main(String[] args) throws Exception {
        try (Connection c = open()) {
            basics(c);
            transactions(c);
            copy(c);
            timeout(c);
            ExecutorService pool = Executors.newFixedThreadPool(8, run -> {
                Thread t = new Thread(run);
                t.setDaemon(true);      // a failure ends the program
                return t;
            });
            List<Future<Void>> all = new ArrayList<>();
            for (int n = 0; n < 8; n++) {
                final int mine = n;
                all.add(pool.submit((Callable<Void>) () -> concurrent(mine)));
            }
            for (Future<Void> f : all) {
                f.get();
            }
            pool.shutdown();
            try (Statement s = c.createStatement()) {
                s.execute("DROP TABLE drv_jdbc");
            }
        }
        System.out.println("PASS");
    }
}
