/// The version that both servers and the commands report.
package enum BuildVersion {
    package static let current = "0.1.0"
}
