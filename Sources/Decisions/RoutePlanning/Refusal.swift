/// Why the router will not run a statement: a stable code, a constant message, and what to do about it.
///
/// Source of `docs/reference/refusals.md`; a test keeps the two equal.
package struct Refusal: Error, Hashable, Sendable {
    package var code: RefusalCode
    /// The variable part: names and positions, never a value.
    package var subject: String
    /// Byte offset of the offending place in the statement; nil where there is none.
    package var location: Int?

    package init(_ code: RefusalCode, _ subject: String = "", at location: Int? = nil) {
        self.code = code
        self.subject = subject
        self.location = location
    }
}
