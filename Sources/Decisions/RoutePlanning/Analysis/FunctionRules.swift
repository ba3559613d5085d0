/// What is known of PostgreSQL's own functions beyond their volatility: which may run where.
///
/// Functions of pg_catalog that are immutable or stable may run on any shard, except those listed here. Volatile ones are refused
/// unless listed here.
enum FunctionRules {
    enum Verdict: Hashable {
        case allowed
        /// Runs on any shard; gives another value each time, or on each shard.
        case allowedVolatile
        /// Takes effect on, or tells of, the home shard.
        case homeOnly(hasSideEffect: Bool)
        /// Leaves something behind in the home shard's session: all clients must meet there.
        case traced(SessionTraces)
        case size
        case refused(RefusalCode)
    }

    static func verdict(_ name: String, isVolatile: Bool) -> Verdict {
        if let listed = table[name] { return listed }
        if name.hasPrefix("pg_stat_get_") { return .homeOnly(hasSideEffect: false) }
        return isVolatile ? .refused(.serverFunction) : .allowed
    }

    /// Whether one of PostgreSQL's own may leave something in the server session, or tell of what it holds.
    static func leavesState(_ name: String, isVolatile: Bool) -> Bool {
        switch verdict(name, isVolatile: isVolatile) {
        case .refused: !leavingNothing.contains(name)
        case .traced(let traces): traces.keeps != nil || traces.releases
        case .allowed, .allowedVolatile, .homeOnly, .size: false
        }
    }

    /// Those of the table that do.
    static let listedForState: [String] = table.keys.filter { leavesState($0, isVolatile: false) }.sorted()

    /// Refused with several shards, and without a trace in the session: they concern rows, large objects, files or the whole server.
    static let leavingNothing: Set<String> = Set(
        ("lo_open lo_close loread lowrite lo_creat lo_create lo_unlink lo_import lo_export lo_lseek lo_lseek64 lo_tell lo_tell64 lo_truncate "
            + "lo_truncate64 lo_from_bytea lo_put lo_get pg_cancel_backend pg_terminate_backend pg_reload_conf pg_rotate_logfile pg_switch_wal "
            + "pg_create_restore_point pg_logical_emit_message pg_stat_reset pg_stat_reset_shared pg_stat_reset_slru "
            + "pg_stat_reset_single_table_counters pg_stat_reset_single_function_counters pg_stat_clear_snapshot pg_export_snapshot "
            + "pg_log_backend_memory_contexts pg_read_file pg_read_binary_file pg_stat_file pg_ls_dir pg_ls_logdir pg_ls_waldir pg_ls_tmpdir "
            + "pg_current_logfile brin_summarize_new_values brin_summarize_range brin_desummarize_range gin_clean_pending_list currtid2 "
            + "pg_import_system_collations")
            .split(separator: " ").map(String.init))

    private static let table: [String: Verdict] = {
        var table: [String: Verdict] = [:]
        func list(_ verdict: Verdict, _ names: String) {
            for name in names.split(separator: " ") { table[String(name)] = verdict }
        }
        list(
            .allowedVolatile,
            "random clock_timestamp timeofday gen_random_uuid pg_sleep pg_sleep_for pg_sleep_until current_query "
                // Of the extensions uuid-ossp and pgcrypto.
                + "uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 gen_random_bytes gen_salt pgp_sym_encrypt "
                + "pgp_sym_encrypt_bytea pgp_pub_encrypt pgp_pub_encrypt_bytea")
        list(
            .homeOnly(hasSideEffect: false),
            "pg_is_in_recovery pg_partition_tree pg_partition_ancestors pg_jit_available pg_lock_status pg_blocking_pids "
                + "pg_collation_actual_version pg_database_collation_actual_version pg_sequence_last_value pg_control_system "
                + "pg_current_wal_lsn pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_last_wal_receive_lsn "
                + "pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_xact_status txid_status pg_backend_pid "
                + "pg_current_xact_id pg_current_xact_id_if_assigned pg_current_snapshot txid_current "
                + "txid_current_if_assigned txid_current_snapshot pg_listening_channels pg_postmaster_start_time pg_conf_load_time "
                + "pg_database_size pg_tablespace_size")
        list(
            .homeOnly(hasSideEffect: true),
            "nextval setval pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_xact_lock "
                + "pg_try_advisory_xact_lock_shared")
        list(.traced(SessionTraces(preventsPrepare: true)), "pg_notify")
        list(
            .traced(SessionTraces(keeps: .advisoryLock)),
            "pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared")
        list(.traced(SessionTraces(releases: true)), "pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all")
        list(.size, "pg_relation_size pg_table_size pg_indexes_size pg_total_relation_size")
        list(
            .refused(.sessionFunction),
            "set_config currval lastval setseed pg_prepared_statement pg_cursor pg_my_temp_schema pg_export_snapshot")
        // Run text as SQL, or read tables by name.
        list(
            .refused(.serverFunction),
            "query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema table_to_xml "
                + "table_to_xmlschema table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema "
                + "schema_to_xml_and_xmlschema database_to_xml database_to_xmlschema database_to_xml_and_xmlschema "
                + "ts_stat ts_rewrite lo_get loread lo_open currtid2")
        return table
    }()

    /// Stable functions whose value depends on their arguments and on settings that every shard shares, not on time or catalog.
    static let sameOnEveryShard: Set<String> = Set(
        ("to_char to_date to_number to_timestamp concat concat_ws format json_build_array json_build_object jsonb_build_array "
            + "jsonb_build_object to_json to_jsonb row_to_json array_to_json array_to_string json_populate_record "
            + "jsonb_populate_record json_to_record jsonb_to_record json_to_recordset jsonb_to_recordset "
            + "json_populate_recordset jsonb_populate_recordset date_trunc date_part extract timezone timestamptz timestamp "
            + "make_timestamptz quote_literal quote_nullable convert convert_from convert_to length generate_series "
            + "overlaps textanycat anytextcat")
            .split(separator: " ").map(String.init))

    /// Those that give the same moment to all rows of a statement.
    static let moments: Set<String> = ["now", "transaction_timestamp", "statement_timestamp"]

    /// Functions that tell the time, make something up, or wait.
    static let ofTheMoment: Set<String> = Set(
        ("pg_sleep pg_sleep_for pg_sleep_until now transaction_timestamp statement_timestamp clock_timestamp timeofday age random gen_random_uuid uuid_generate_v1 uuid_generate_v1mc "
            + "uuid_generate_v4 gen_random_bytes gen_salt pgp_sym_encrypt pgp_sym_encrypt_bytea pgp_pub_encrypt pgp_pub_encrypt_bytea")
            .split(separator: " ").map(String.init))

    /// Volatile functions that only tell of the server they run on, and that a reader of replicas may well ask.
    static let tellOfReplica: Set<String> = [
        "pg_is_in_recovery", "pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp",
    ]

    /// Aggregates whose value does not depend on the order of rows, not even in the last digit.
    static let orderFreeAggregates: Set<String> = [
        "count", "min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or", "bit_xor",
    ]
}
