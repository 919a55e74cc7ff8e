pub fn parse(_json: &str) -> crate::error::Result<()> {
    Ok(())
}
