/* router/recovery/catalog_sql.h: what `weir catalog init` makes on a shard: schema weir. Each object once; functions are replaced when
 * they differ. {role} is the user whom Weir logs in as for its own work.
 * Applications have no privilege on the tables. The verdict 'commit' is written by weir.txn_commit(), which anybody may call, but which
 * wants the token whose hash is in the name; 'abort' only by the recovery role. Everything runs at its owner's rights, with a search_path
 * that nobody else can fill. */
#ifndef WEIR_ROUTER_RECOVERY_CATALOG_SQL_H
#define WEIR_ROUTER_RECOVERY_CATALOG_SQL_H

#define FUNCTION_END "$weir$"
#define FUNCTION(head, returns, language, volatility, body)                             \
	"CREATE OR REPLACE FUNCTION weir." head " RETURNS " returns                     \
	" LANGUAGE " language " " volatility                                            \
	" SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS " FUNCTION_END body \
	    FUNCTION_END

/* OBJECT(kind, name, "SQL that is true when it is there", "SQL that makes it") */
#define CATALOG_OBJECTS(OBJECT)                                                                     \
	OBJECT("schema", "weir",                                                                    \
	    "SELECT pg_catalog.to_regnamespace('weir') IS NOT NULL",                                \
	    "CREATE SCHEMA weir")                                                                   \
	OBJECT("table", "weir.identity",                                                            \
	    "SELECT pg_catalog.to_regclass('weir.identity') IS NOT NULL",                           \
	    "CREATE TABLE weir.identity (one boolean PRIMARY KEY DEFAULT true CHECK (one), "        \
	    "id uuid NOT NULL, made_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp())") \
	OBJECT("identity", "of this shard",                                                         \
	    "SELECT pg_catalog.count(*) OPERATOR(pg_catalog.>) 0 FROM weir.identity",               \
	    "INSERT INTO weir.identity (id) VALUES (pg_catalog.gen_random_uuid())")                 \
	OBJECT("table", "weir.txn",                                                                 \
	    "SELECT pg_catalog.to_regclass('weir.txn') IS NOT NULL",                                \
	    "CREATE TABLE weir.txn (gid text PRIMARY KEY, "                                         \
	    "verdict text NOT NULL CHECK (verdict IN ('commit', 'abort')), "                        \
	    "participants text[] NOT NULL DEFAULT '{}', open_txns text[] NOT NULL DEFAULT '{}', "   \
	    "decided_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp())")

/* ROUTINE("signature", who may call it: PUBLIC or {role}, "SQL") */
#define CATALOG_ROUTINES(ROUTINE)                                                                                                       \
	ROUTINE("weir.shard_identity()", "PUBLIC",                                                                                      \
	    FUNCTION("shard_identity()", "text", "sql", "STABLE",                                                                       \
		"SELECT replace(id::text, '-', '') FROM weir.identity"))                                                                \
	/* The decision: in the anchor's own transaction. See router/txn/gid.h for the name. */                                         \
	ROUTINE("weir.txn_commit(text, text, text[])", "PUBLIC",                                                                        \
	    FUNCTION("txn_commit(gid text, token text, participants text[])", "void",                                                   \
		"plpgsql", "VOLATILE",                                                                                                  \
		"\nBEGIN\n"                                                                                                             \
		"	IF gid IS DISTINCT FROM 'weir_' || weir.shard_identity() || '_' ||\n"                                                 \
		"	    left(encode(sha256(convert_to(token, 'UTF8')), 'hex'), 32) THEN\n"                                                \
		"		RAISE EXCEPTION 'not the token of transaction %', gid\n"                                                             \
		"		    USING ERRCODE = '42501';\n"                                                                                      \
		"	END IF;\n"                                                                                                            \
		"	IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN\n"                                        \
		"		PERFORM set_config('synchronous_commit', 'on', true);\n"                                                             \
		"	END IF;\n"                                                                                                            \
		"	INSERT INTO weir.txn (gid, verdict, participants)\n"                                                                  \
		"	    VALUES (txn_commit.gid, 'commit', txn_commit.participants)\n"                                                     \
		"	    ON CONFLICT ON CONSTRAINT txn_pkey DO NOTHING;\n"                                                                 \
		"	IF NOT FOUND THEN\n"                                                                                                  \
		"		RAISE EXCEPTION 'could not commit: transaction % was given up by recovery', gid\n"                                   \
		"		    USING ERRCODE = '40001', HINT = 'Run the transaction again.';\n"                                                 \
		"	END IF;\n"                                                                                                            \
		"END "))                                                                                                                \
	/* The verdict, which is 'abort' from now on if there was none. An uncommitted 'commit' makes it wait; its own 'abort' is the \
	 * caller's to see only once it is committed, so it must be the only statement. Whoever was in a transaction of this server then \
	 * may still be about to commit. */ \
	ROUTINE("weir.txn_abort(text)", "{role}",                                                                                       \
	    FUNCTION("txn_abort(gid text)", "text", "plpgsql", "VOLATILE",                                                              \
		"\nDECLARE\n"                                                                                                           \
		"	found_verdict text;\n"                                                                                                \
		"BEGIN\n"                                                                                                               \
		"	IF substr(gid, 1, 38) IS DISTINCT FROM 'weir_' || weir.shard_identity() || '_' THEN\n"                                \
		"		RAISE EXCEPTION 'this shard is not the anchor of transaction %', gid\n"                                              \
		"		    USING ERRCODE = '55000';\n"                                                                                      \
		"	END IF;\n"                                                                                                            \
		"	IF current_setting('transaction_isolation') <> 'read committed' THEN\n"                                               \
		"		RAISE EXCEPTION 'weir.txn_abort() wants READ COMMITTED' USING ERRCODE = '25001';\n"                                  \
		"	END IF;\n"                                                                                                            \
		"	IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN\n"                                        \
		"		PERFORM set_config('synchronous_commit', 'on', true);\n"                                                             \
		"	END IF;\n"                                                                                                            \
		"	INSERT INTO weir.txn (gid, verdict, open_txns)\n"                                                                     \
		"	    SELECT txn_abort.gid, 'abort', coalesce(array_agg(DISTINCT virtualtransaction), '{}')\n"                          \
		"	    FROM pg_locks WHERE locktype = 'virtualxid' AND pid <> pg_backend_pid()\n"                                        \
		"	    ON CONFLICT ON CONSTRAINT txn_pkey DO NOTHING;\n"                                                                 \
		"	SELECT verdict INTO STRICT found_verdict FROM weir.txn t WHERE t.gid = txn_abort.gid;\n"                              \
		"	RETURN found_verdict;\n"                                                                                              \
		"END "))                                                                                                                \
	ROUTINE("weir.txn_verdict(text)", "PUBLIC",                                                                                     \
	    FUNCTION("txn_verdict(gid text)", "text", "sql", "STABLE",                                                                  \
		"SELECT verdict FROM weir.txn t WHERE t.gid = txn_verdict.gid"))                                                        \
	ROUTINE("weir.txn_old(interval)", "{role}",                                                                                     \
	    FUNCTION("txn_old(retention interval)",                                                                                     \
		"TABLE (gid text, participants text[])", "sql", "STABLE",                                                               \
		"SELECT gid, participants FROM weir.txn WHERE verdict = 'commit' "                                                      \
		"AND decided_at < clock_timestamp() - retention ORDER BY decided_at LIMIT 1000"))                                       \
	ROUTINE("weir.txn_forget(text, interval)", "{role}",                                                                            \
	    FUNCTION("txn_forget(gid text, retention interval)", "void", "sql",                                                         \
		"VOLATILE",                                                                                                             \
		"DELETE FROM weir.txn t WHERE t.gid = txn_forget.gid AND verdict = 'commit' "                                           \
		"AND decided_at < clock_timestamp() - retention"))                                                                      \
	ROUTINE("weir.txn_forget_aborts()", "{role}",                                                                                   \
	    FUNCTION("txn_forget_aborts()", "bigint", "sql", "VOLATILE",                                                                \
		"WITH gone AS (DELETE FROM weir.txn WHERE verdict = 'abort' AND NOT open_txns && "                                      \
		"(SELECT coalesce(array_agg(virtualtransaction), '{}') FROM pg_locks "                                                  \
		"WHERE locktype = 'virtualxid') RETURNING 1) SELECT count(*) FROM gone"))

#endif
