//! Text as people search for it: without case, without Vietnamese marks, without đ.

/// `Ủy ban nhân dân xã Đôn Thuận` → `uy ban nhan dan xa don thuan`. Precomposed letters and combining marks alike.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        match letter {
            'à' | 'á' | 'ả' | 'ã' | 'ạ' | 'ă' | 'ằ' | 'ắ' | 'ẳ' | 'ẵ' | 'ặ' | 'â' | 'ầ' | 'ấ' | 'ẩ' | 'ẫ'
            | 'ậ' => folded.push('a'),
            'è' | 'é' | 'ẻ' | 'ẽ' | 'ẹ' | 'ê' | 'ề' | 'ế' | 'ể' | 'ễ' | 'ệ' => {
                folded.push('e');
            }
            'ì' | 'í' | 'ỉ' | 'ĩ' | 'ị' => folded.push('i'),
            'ò' | 'ó' | 'ỏ' | 'õ' | 'ọ' | 'ô' | 'ồ' | 'ố' | 'ổ' | 'ỗ' | 'ộ' | 'ơ' | 'ờ' | 'ớ' | 'ở' | 'ỡ'
            | 'ợ' => folded.push('o'),
            'ù' | 'ú' | 'ủ' | 'ũ' | 'ụ' | 'ư' | 'ừ' | 'ứ' | 'ử' | 'ữ' | 'ự' => {
                folded.push('u');
            }
            'ỳ' | 'ý' | 'ỷ' | 'ỹ' | 'ỵ' => folded.push('y'),
            'đ' => folded.push('d'),
            // Combining diacritical marks: what decomposed text carries behind its letters.
            '\u{300}'..='\u{36f}' => {}
            other => folded.push(other),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_without_marks_and_without_case() {
        assert_eq!(fold("Ủy ban nhân dân xã Đôn Thuận"), "uy ban nhan dan xa don thuan");
        assert_eq!(fold("HUYỆN ỦY GÒ DẦU"), "huyen uy go dau");
        assert_eq!(
            fold("Dương Minh Châu, Trảng Bàng, Mỹ, Kỳ, Ngãi, quỹ"),
            "duong minh chau, trang bang, my, ky, ngai, quy"
        );
        assert_eq!(fold("U\u{309}y ban xa\u{303}"), "uy ban xa", "decomposed as macOS writes it");
        assert_eq!(fold("x-01 <b>"), "x-01 <b>");
    }
}
