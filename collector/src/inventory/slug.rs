//! The id that a text should have been: Vietnamese letters lose their marks, the rest becomes hyphens.

use wan_wire::SiteId;

/// A valid id near to `text`, if anything of it can stand in one.
pub(super) fn suggest(text: &str) -> Option<SiteId> {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        // A combining mark belongs to the letter before it, as in text that is decomposed (NFD).
        if ('\u{300}'..='\u{36f}').contains(&c) {
            continue;
        }
        match plain(c) {
            Some(letter) => slug.push(letter),
            None if slug.ends_with('-') || slug.is_empty() => {}
            None => slug.push('-'),
        }
        if slug.len() == wan_wire::id::MAX_ID_BYTES {
            break;
        }
    }
    slug.trim_end_matches('-').parse().ok()
}

/// A lower-case letter without its marks; `None` for what an id cannot hold.
fn plain(c: char) -> Option<char> {
    Some(match c {
        'a'..='z' | '0'..='9' => c,
        'à' | 'á' | 'ả' | 'ã' | 'ạ' | 'ă' | 'ằ' | 'ắ' | 'ẳ' | 'ẵ' | 'ặ' | 'â' | 'ầ' | 'ấ' | 'ẩ' | 'ẫ'
        | 'ậ' => 'a',
        'è' | 'é' | 'ẻ' | 'ẽ' | 'ẹ' | 'ê' | 'ề' | 'ế' | 'ể' | 'ễ' | 'ệ' => 'e',
        'ì' | 'í' | 'ỉ' | 'ĩ' | 'ị' => 'i',
        'ò' | 'ó' | 'ỏ' | 'õ' | 'ọ' | 'ô' | 'ồ' | 'ố' | 'ổ' | 'ỗ' | 'ộ' | 'ơ' | 'ờ' | 'ớ' | 'ở' | 'ỡ'
        | 'ợ' => 'o',
        'ù' | 'ú' | 'ủ' | 'ũ' | 'ụ' | 'ư' | 'ừ' | 'ứ' | 'ử' | 'ữ' | 'ự' => 'u',
        'ỳ' | 'ý' | 'ỷ' | 'ỹ' | 'ỵ' => 'y',
        'đ' => 'd',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vietnamese_names_become_readable_ids() {
        let suggest = |text| suggest(text).map(|id| id.to_string());
        assert_eq!(suggest("UBND xã Tân Hưng").as_deref(), Some("ubnd-xa-tan-hung"));
        assert_eq!(suggest("Đảng ủy Phường 1 / Tây Ninh").as_deref(), Some("dang-uy-phuong-1-tay-ninh"));
        assert_eq!(suggest("Gò Dâ\u{300}u").as_deref(), Some("go-dau"));
        assert_eq!(suggest("– ? –"), None);
    }

    proptest! {
        #[test]
        fn whatever_is_suggested_is_an_id(text in any::<String>()) {
            let _ = suggest(&text);
        }
    }
}
