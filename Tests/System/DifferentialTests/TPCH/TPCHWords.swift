/// The words of which values of TPC-H are made.
enum TPCHWords {
    static let regions = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]

    /// With the number of each nation's region.
    static let nations: [(name: String, region: Int)] = [
        ("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("CANADA", 1), ("EGYPT", 4), ("ETHIOPIA", 0), ("FRANCE", 3), ("GERMANY", 3), ("INDIA", 2), ("INDONESIA", 2), ("IRAN", 4),
        ("IRAQ", 4), ("JAPAN", 2), ("JORDAN", 4), ("KENYA", 0), ("MOROCCO", 0), ("MOZAMBIQUE", 0), ("PERU", 1), ("CHINA", 2), ("ROMANIA", 3), ("SAUDI ARABIA", 4), ("VIETNAM", 2),
        ("RUSSIA", 3), ("UNITED KINGDOM", 3), ("UNITED STATES", 1),
    ]

    static let colours = words(
        """
        almond antique aquamarine azure beige bisque black blanched blue blush brown burlywood burnished chartreuse chiffon chocolate coral cornflower cornsilk cream cyan dark deep dim
        dodger drab firebrick floral forest frosted gainsboro ghost goldenrod green grey honeydew hot indian ivory khaki lace lavender lawn lemon light lime linen magenta maroon medium
        metallic midnight mint misty moccasin navajo navy olive orange orchid pale papaya peach peru pink plum powder puff purple red rose rosy royal saddle salmon sandy seashell sienna
        sky slate smoke snow spring steel tan thistle tomato turquoise violet wheat white yellow
        """)

    static let types = [words("STANDARD SMALL MEDIUM LARGE ECONOMY PROMO"), words("ANODIZED BURNISHED PLATED POLISHED BRUSHED"), words("TIN NICKEL BRASS STEEL COPPER")]
    static let containers = [words("SM LG MED JUMBO WRAP"), words("CASE BOX BAG JAR PKG PACK CAN DRUM")]
    static let segments = words("AUTOMOBILE BUILDING FURNITURE MACHINERY HOUSEHOLD")
    static let priorities = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"]
    static let instructions = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"]
    static let modes = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"]

    /// `special … requests` comes in about one comment of a hundred, as in dbgen's.
    static let comment = words(
        """
        special requests packages deposits accounts instructions pending furiously carefully quickly blithely slyly final express regular bold ironic silent even foxes ideas theodolites
        pinto beans platelets asymptotes dependencies excuses unusual fluffily across above the among sleep wake haggle nag
        """)

    private static func words(_ text: String) -> [String] { text.split(whereSeparator: \.isWhitespace).map(String.init) }
}
