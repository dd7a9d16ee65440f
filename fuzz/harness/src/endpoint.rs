use zmtp_socket::{Endpoint, IntoEndpoint};

/// Any text as an endpoint: what is read is printed as a text that is read as the same, and what is
/// not read is not repeated at length.
pub fn endpoint(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match text.parse::<Endpoint>() {
        Ok(endpoint) => {
            assert_eq!(endpoint.to_string().parse().as_ref(), Ok(&endpoint));
            assert_eq!((&endpoint).into_endpoint().as_ref(), Ok(&endpoint));
        }
        Err(error) => {
            // A character may take ten to be shown, and is perhaps shown twice.
            let shown = error.to_string().chars().count();
            assert!(shown < 4500, "{shown} characters");
        }
    }
}
