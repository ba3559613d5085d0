import ShardModel

/// The eight tables of TPC-H, and how they are placed: what belongs together by its key lies together, nations and regions are everywhere.
enum TPCHSchema {
    static let placements: [String: Placement] = [
        "lineitem": .sharded(key: "l_orderkey"), "orders": .sharded(key: "o_orderkey"), "customer": .sharded(key: "c_custkey"), "part": .sharded(key: "p_partkey"),
        "partsupp": .sharded(key: "ps_partkey"), "supplier": .sharded(key: "s_suppkey"), "nation": .reference, "region": .reference,
    ]

    /// In the order in which they are filled.
    static let tables: [(name: String, columns: String)] = [
        ("region", "r_regionkey int PRIMARY KEY, r_name char(25), r_comment varchar(152)"),
        ("nation", "n_nationkey int PRIMARY KEY, n_name char(25), n_regionkey int REFERENCES region, n_comment varchar(152)"),
        (
            "supplier",
            "s_suppkey bigint PRIMARY KEY, s_name char(25), s_address varchar(40), s_nationkey int REFERENCES nation, s_phone char(15), s_acctbal decimal(15,2), s_comment varchar(101)"
        ),
        (
            "part",
            """
            p_partkey bigint PRIMARY KEY, p_name varchar(55), p_mfgr char(25), p_brand char(10), p_type varchar(25), p_size int, p_container char(10), p_retailprice decimal(15,2),
            p_comment varchar(23)
            """
        ),
        (
            "partsupp",
            "ps_partkey bigint REFERENCES part, ps_suppkey bigint, ps_availqty int, ps_supplycost decimal(15,2), ps_comment varchar(199), PRIMARY KEY (ps_partkey, ps_suppkey)"
        ),
        (
            "customer",
            """
            c_custkey bigint PRIMARY KEY, c_name varchar(25), c_address varchar(40), c_nationkey int REFERENCES nation, c_phone char(15), c_acctbal decimal(15,2), c_mktsegment char(10),
            c_comment varchar(117)
            """
        ),
        (
            "orders",
            """
            o_orderkey bigint PRIMARY KEY, o_custkey bigint, o_orderstatus char(1), o_totalprice decimal(15,2), o_orderdate date, o_orderpriority char(15), o_clerk char(15),
            o_shippriority int, o_comment varchar(79)
            """
        ),
        (
            "lineitem",
            """
            l_orderkey bigint REFERENCES orders, l_partkey bigint, l_suppkey bigint, l_linenumber int, l_quantity decimal(15,2), l_extendedprice decimal(15,2), l_discount decimal(15,2),
            l_tax decimal(15,2), l_returnflag char(1), l_linestatus char(1), l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct char(25), l_shipmode char(10),
            l_comment varchar(44), PRIMARY KEY (l_orderkey, l_linenumber)
            """
        ),
    ]
}
