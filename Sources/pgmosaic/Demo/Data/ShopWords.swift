/// What the shop's rows are put together from.
enum ShopWords {
    static let countries: [(code: String, name: String, currency: String)] = [
        ("AT", "Austria", "EUR"), ("AU", "Australia", "AUD"), ("BE", "Belgium", "EUR"), ("BR", "Brazil", "BRL"),
        ("CA", "Canada", "CAD"), ("CH", "Switzerland", "CHF"), ("CZ", "Czechia", "CZK"), ("DE", "Germany", "EUR"),
        ("DK", "Denmark", "DKK"), ("ES", "Spain", "EUR"), ("FI", "Finland", "EUR"), ("FR", "France", "EUR"),
        ("GB", "United Kingdom", "GBP"), ("IE", "Ireland", "EUR"), ("IN", "India", "INR"), ("IT", "Italy", "EUR"),
        ("JP", "日本", "JPY"), ("KR", "South Korea", "KRW"), ("MX", "Mexico", "MXN"), ("NL", "Netherlands", "EUR"),
        ("NO", "Norway", "NOK"), ("NZ", "New Zealand", "NZD"), ("PL", "Poland", "PLN"), ("PT", "Portugal", "EUR"),
        ("SE", "Sweden", "SEK"), ("SG", "Singapore", "SGD"), ("TR", "Türkiye", "TRY"), ("UA", "Ukraine", "UAH"),
        ("US", "United States", "USD"), ("ZA", "South Africa", "ZAR"),
    ]

    static let firstNames = [
        "Ada", "Alan", "Amara", "Anja", "Barbara", "Beatriz", "Chen", "Claire", "Dennis", "Donald", "Edsger", "Elif", "Emre",
        "Frances", "Grace", "Hedy", "Hiroshi", "Ingrid", "Ivan", "Jun", "Katherine", "Ken", "Leslie", "Lin", "Margaret", "Mei",
        "Niklaus", "Olga", "Omar", "Priya", "Radia", "Ravi", "Rosa", "Sakura", "Sofia", "Søren", "Tim", "Tony", "Ursula", "Zoë",
    ]

    static let lastNames = [
        "Adeyemi", "Bauer", "Berg", "Costa", "Dubois", "Eriksen", "Fernández", "Fischer", "García", "Gupta", "Hansen", "Hoffmann",
        "Ito", "Ivanova", "Jansen", "Johansson", "Kim", "Kovács", "Kowalski", "Lee", "Martin", "Meyer", "Müller", "Nakamura",
        "Nguyen", "Novák", "O'Brien", "Okafor", "Patel", "Peters", "Ricci", "Rossi", "Santos", "Schmidt", "Silva", "Smith",
        "Tanaka", "Wagner", "Yılmaz", "Zhang",
    ]

    /// Category, the nouns in it, and the range of prices in cents.
    static let catalogue: [(category: String, nouns: [String], cents: ClosedRange<Int>)] = [
        ("books", ["Atlas", "Cookbook", "Dictionary", "Field Guide", "Novel", "Poems"], 690...4990),
        ("garden", ["Hose", "Lantern", "Rake", "Seed Box", "Spade", "Trellis"], 490...12900),
        ("kitchen", ["Bowl", "Kettle", "Knife", "Mill", "Pan", "Teapot"], 590...18900),
        ("music", ["Cable", "Drumsticks", "Headphones", "Metronome", "Strings", "Tuner"], 390...34900),
        ("office", ["Chair", "Desk Lamp", "Ink", "Notebook", "Pen", "Stapler"], 190...45900),
        ("outdoor", ["Backpack", "Bottle", "Compass", "Jacket", "Stove", "Tent"], 890...59900),
        ("toys", ["Blocks", "Kite", "Marbles", "Puzzle", "Robot", "Train"], 490...9900),
    ]

    static let adjectives = ["Blue", "Classic", "Compact", "Folding", "Large", "Light", "Little", "Quiet", "Red", "Sturdy", "Travel", "Wooden"]
    static let paymentMethods = ["card", "card", "card", "transfer", "wallet", "invoice"]
    static let orderStates = ["delivered", "delivered", "delivered", "delivered", "shipped", "paid", "cancelled", "returned"]
}
